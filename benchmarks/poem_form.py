"""How many poems of a model keep the form: `python benchmarks/poem_form.py runs/tang`.

A poem is in form if it has a title, an author, an empty line, and then at least two couplets
"XXXXX，XXXXX。" whose halves all have the same number of characters, 5 or 7 as in regular verse.
The same is asked of the poems of the corpus, for comparison.
"""

import argparse
import re

import penjing

COUPLET = re.compile(r"(\w+)[，？！；、](\w+)[。？！；]")


def in_form(text: str) -> bool:
    """Whether a text is a poem in regular verse."""
    lines = text.strip("\n").split("\n")
    if len(lines) < 5 or not lines[0] or not lines[1] or lines[2]:
        return False
    couplets = [COUPLET.fullmatch(line) for line in lines[3:]]
    lengths = {len(half) for couplet in couplets if couplet for half in couplet.groups()}
    return all(couplets) and len(lengths) == 1 and lengths <= {5, 7}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a run of the recipe tang")
    parser.add_argument("--poems", type=int, default=100)
    args = parser.parse_args()
    model = penjing.load(args.model)
    settings = {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 120}
    poems = [model.complete("", seed=seed, **settings) for seed in range(args.poems)]
    kept = sum(in_form(poem) for poem in poems)
    corpus = penjing.load_corpus("tang")
    real = sum(in_form(document.text) for document in corpus)
    print(f"{kept} of {len(poems)} poems of the model are in form ({kept / len(poems):.0%});")
    print(f"{real} of {len(corpus)} of the corpus ({real / len(corpus):.0%}).")


if __name__ == "__main__":
    main()
