"""Which language a text is in: told by its script, and in shared scripts by its commonest words.

The commonest few words of a language are a third to a half of any text in it (Zipf), and hardly any
are common in another. So little suffices to see what a corpus is made of; it is no judge of a
single short sentence.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.characters import (
    FIRST_SCRIPT,
    HAN,
    HIRAGANA,
    KATAKANA,
    N_CLASSES,
    SCRIPTS,
    SIMPLIFIED,
    TRADITIONAL,
)

Counts: TypeAlias = NDArray[np.int64]

WORDS: dict[str, str] = {
    "English": "the of and to in is was that for it with as his on be at by had not are but from "
    "or have an they which one you were all her she there would their we him been has when who "
    "will no more if out so said what its about than into them can only other your i this do my",
    "German": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als "
    "auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über "
    "einen so zum war haben nur oder aber vor zur bis mehr durch man ich wir ihr",
    "French": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se "
    "ce il sont avec son aux cette ou mais comme nous vous elle on leur être fait ont sa ses deux "
    "même tout je était peut aussi sans d l qu c n s",
    "Spanish": "de la que el en y a los se del las un por con no una su para es al lo como más o "
    "pero sus le ha me si sin sobre este ya entre cuando todo esta ser son dos también fue había "
    "era muy años hasta desde está nos",
    "Portuguese": "de a que o e do da em um para com não uma os no se na por mais as dos como mas "
    "ao ele das à seu sua ou quando muito nos já eu também só pelo pela até isso ela entre depois "
    "sem mesmo aos seus são foi",
    "Italian": "di e il la che in a un per è una sono con non si da come le del dei al nel alla i "
    "della più anche lo ma gli ha questo delle su se ci o dal essere era suo dalla nella stato "
    "quando tutti loro",
    "Dutch": "de van een het en in is dat op te zijn voor met die niet aan er om ook als dan maar "
    "bij door naar uit hij nog over wat was wordt worden heeft hebben deze kan tot ze zich geen",
    "Swedish": "och att det i en som på är av för den till inte med har de ett om han var jag men "
    "sig från så vi kan när eller nu ut skulle hade där efter också ska under",
    "Danish": "og i at det er en til af på som den med der for ikke de et har var fra han kan vi "
    "men om sig så eller være nu ud efter også skal blev havde hvor jeg",
    "Norwegian": "og i det er på en som til av for at med ikke den har de et var fra han kan om "
    "seg så eller være nå ut etter også skal ble hadde hvor jeg",
    "Finnish": "ja on ei se että oli hän mutta ovat kun niin tai myös joka sen mukaan kuin ole "
    "voi hänen jos sekä vain kanssa mitä nyt olla jo sitä",
    "Polish": "w i na z do nie się że jest to o jak za po od przez a dla ale są było był tym co "
    "który która które tak przy może jego jej ich tylko już oraz",
    "Czech": "a se v na je že o s z do to i k za ve by ale jako po pro jsou který která které však "
    "byl byla bylo tak jeho jen také podle při nebo až od jsem",
    "Hungarian": "a az és hogy nem is egy ez meg de csak ha már volt mint még vagy el azt lesz "
    "van minden között szerint után majd kell",
    "Romanian": "de și în a la cu pe nu că o un din este care pentru mai sunt fi au ce se lui ca "
    "prin dar fost are sau după între acest această",
    "Turkish": "ve bir bu için da de ile çok daha olarak ne gibi olan var kadar en ama sonra ya "
    "mi her ise değil o ki diye oldu göre",
    "Indonesian": "yang dan di dengan untuk tidak ini itu dari dalam akan pada juga ke karena ada "
    "oleh saya mereka sudah bisa atau kami kita seperti telah adalah menjadi",
    "Vietnamese": "của và là có các được cho không trong một những với này đã người để khi đến "
    "từ như cũng về ra nhưng phải tại năm nhiều",
    "Russian": "и в не на что с он я как это по но они к мы она за так из у же вы от то бы был "
    "его только для все её ещё было или когда если до при чтобы этого также",
    "Ukrainian": "і в не на що з він я як це по але вони до ми вона за так із у та від то був "
    "його тільки для все ще було або коли якщо при щоб також є й",
    "Bulgarian": "и в не на че с той се да за от е са по но те ще как така това който която "
    "които като или беше са си до към през му го ги",
    "Arabic": "في من على إلى أن عن مع هذا هذه التي الذي كان لا ما أو قد كما بعد بين كل وقد ذلك "
    "ولا وهو أي لم و",
    "Persian": "و در به از که این را با است برای آن یک خود تا شده می بر بود هم شد های کرد ها نیز "
    "اما یا",
    "Urdu": "کے کی میں ہے اور سے کا کو اس نے یہ پر ہیں کہ بھی تھا ایک جو کر ہو نہیں لئے",
    "Hindi": "के में की है और से का को इस ने यह पर हैं कि भी था एक जो कर हो नहीं लिए ही",
    "Marathi": "आहे आणि या व ते हे तो ही असे होते मध्ये आहेत नाही काही पण एक होता",
}  # fmt: skip

BY_SCRIPT: dict[str, str] = {
    "Greek": "Greek", "Hebrew": "Hebrew", "Armenian": "Armenian", "Georgian": "Georgian",
    "Hangul": "Korean", "Thai": "Thai", "Lao": "Lao", "Khmer": "Khmer", "Myanmar": "Burmese",
    "Tibetan": "Tibetan", "Bengali": "Bengali", "Gurmukhi": "Punjabi", "Gujarati": "Gujarati",
    "Oriya": "Odia", "Tamil": "Tamil", "Telugu": "Telugu", "Kannada": "Kannada",
    "Malayalam": "Malayalam", "Sinhala": "Sinhala", "Ethiopic": "Amharic", "Mongolian": "Mongolian",
}  # fmt: skip

UNKNOWN = "unknown"
CHINESE, CHINESE_TRADITIONAL, JAPANESE = "Chinese", "Chinese (traditional)", "Japanese"
LANGUAGES = (UNKNOWN, CHINESE, CHINESE_TRADITIONAL, JAPANESE, *BY_SCRIPT.values(), *WORDS)
WEIGHT = 60  # of a common word; it is shared by the languages that have it

_LEAST_LETTERS = 16  # below, a text is in no language; a Han character counts as four letters
_LEAST_COMMON = 0.08  # of the words, for the language to be known by them
_KANA = 0.05  # of Han and kana together, from which on it is Japanese
_SCRIPT_OF = {
    **dict.fromkeys(WORDS, "Latin"),
    **dict.fromkeys(("Russian", "Ukrainian", "Bulgarian"), "Cyrillic"),
    **dict.fromkeys(("Arabic", "Persian", "Urdu"), "Arabic"),
    **dict.fromkeys(("Hindi", "Marathi"), "Devanagari"),
}


def language_of(classes: Counts, words: Counts, n_words: Counts) -> NDArray[np.uint8]:
    """The index in `LANGUAGES` of each document.

    Args:
        classes: characters of each class, (N, N_CLASSES).
        words: weight of common words of each language, in the order of `WORDS`, (N, languages).
        n_words: words, (N,).
    """
    scripts = classes[:, FIRST_SCRIPT:N_CLASSES].copy()
    han = classes[:, HAN] + classes[:, SIMPLIFIED] + classes[:, TRADITIONAL]
    kana = classes[:, HIRAGANA] + classes[:, KATAKANA]
    scripts[:, :5] = 0
    scripts[:, 0] = han + kana
    scripts[:, 0] *= 4
    main = scripts.argmax(axis=1)
    letters = scripts.sum(axis=1)
    found = np.zeros(len(classes), dtype=np.uint8)
    for number, script in enumerate(SCRIPTS):
        if script.name in BY_SCRIPT:
            found[main == number] = LANGUAGES.index(BY_SCRIPT[script.name])
        else:
            rows = main == number
            found[rows] = _by_words(words[rows], n_words[rows], script.name)
    is_han = main == 0
    found[is_han] = LANGUAGES.index(CHINESE)
    traditional = classes[:, TRADITIONAL] > classes[:, SIMPLIFIED]
    found[is_han & traditional] = LANGUAGES.index(CHINESE_TRADITIONAL)
    found[is_han & (kana > _KANA * (han + kana))] = LANGUAGES.index(JAPANESE)
    found[letters < _LEAST_LETTERS] = LANGUAGES.index(UNKNOWN)
    return found


def _by_words(words: Counts, n_words: Counts, script: str) -> NDArray[np.uint8]:
    """The language whose common words are most of the text, of those written in the script."""
    names = list(WORDS)
    fitting = [n for n, name in enumerate(names) if _SCRIPT_OF[name] == script]
    unknown = LANGUAGES.index(UNKNOWN)
    if not fitting:
        return np.full(len(words), unknown, dtype=np.uint8)
    weights = words[:, fitting]
    best = weights.argmax(axis=1)
    enough = weights.max(axis=1) >= _LEAST_COMMON * WEIGHT * np.maximum(n_words, 1)
    index = np.array([LANGUAGES.index(names[n]) for n in fitting], dtype=np.uint8)
    return np.where(enough, index[best], np.uint8(unknown))
