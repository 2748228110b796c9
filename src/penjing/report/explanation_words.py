"""What the page about one quantized tensor says, in English and in Chinese."""

from penjing.report.words import LANGUAGES, Words

_PAIRS: dict[str, tuple[str, str]] = {
    # headline
    "shape": ("shape", "形状"),
    "shape_is": ("outputs × inputs", "输出 × 输入"),
    "stored_as": (
        "; kept as {name}: the numbers that it stands for",
        "；以 {name} 存储，此处为其表示的数值",
    ),
    "range": ("range", "范围"),
    "deviation": ("standard deviation {value}", "标准差 {value}"),
    "largest": ("largest weight", "最大的权重"),
    "largest_is": (
        "{times} standard deviations; row {row}, column {column}",
        "{times} 倍标准差；第 {row} 行第 {column} 列",
    ),
    "kurtosis": ("excess kurtosis", "超额峰度"),
    "kurtosis_is": (
        "0: a normal distribution; above: heavy tails",
        "0 为正态分布；越大尾部越重",
    ),
    # histogram
    "weights": ("The weights, and where the levels lie", "权重分布与量化格点"),
    "weight": ("weight", "权重值"),
    "count": ("count", "个数"),
    "histogram_is": (
        "How many weights have each value; the axis is logarithmic, so that the few large ones are "
        "seen. Below: the levels that each scheme can hold, in the group whose scale is in the "
        "middle. A scale is set by the largest weight of those that share it: where all share one, "
        "a few outliers draw the levels apart, and most weights fall on a handful of them.",
        "每个取值有多少个权重；纵轴为对数，少数很大的权重也能看见。下方是各方案能表示的格点"
        "（取缩放因子居中的一组）。缩放因子由共用它的权重中最大的一个决定：若全体共用一个，"
        "少数离群值会把格点拉开，大多数权重只能落在寥寥几个格点上。",
    ),
    # schemes
    "schemes": ("What each scheme makes of it", "各方案的结果"),
    "scheme": ("scheme", "方案"),
    "bits_per_weight": ("bits/weight", "比特/权重"),
    "scale": ("scale", "缩放因子"),
    "zero_point": ("zero point", "零点"),
    "levels": ("levels used", "用到的格点"),
    "entropy": ("entropy, bits", "熵（比特）"),
    "cut_off": ("cut off", "被截断"),
    "max_error": ("largest error", "最大误差"),
    "rms_error": ("RMS error", "均方根误差"),
    "sqnr": ("SQNR, dB", "信噪比（dB）"),
    "sqnr_of": ("Signal to quantization noise", "信号与量化噪声之比"),
    "decibel": ("dB; 6 dB are one bit", "dB；6 dB 相当于一个比特"),
    "schemes_are": (
        "w ≈ scale × (q − zero point). Bits per weight count scales of 16 bits and zero points. "
        "Entropy: bits of information that the levels carry; what is missing to the bits stored "
        "is wasted. SQNR: 10 log₁₀(Σw² / Σerror²).",
        "w ≈ 缩放因子 × (q − 零点)。每权重比特数计入 16 位的缩放因子和零点。"
        "熵：格点实际携带的信息量，与所存比特数的差即为浪费。信噪比：10 log₁₀(Σw² / Σ误差²)。",
    ),
    # weight by weight
    "stretch": ("Weight by weight, about the largest", "最大权重附近，逐个来看"),
    "original": ("as it was", "原值"),
    "column_of": ("column; row {row}", "列号（第 {row} 行）"),
    "stretch_is": (
        "Neighbours of the largest weight in its row, before and after, by the worst and by the "
        "best of these schemes; it itself is left out where it is far away. Beside it the steps "
        "are coarse, for all that share its scale.",
        "最大权重在同一行中的邻居，量化前后，取其中最差与最好的方案；最大权重本身若离得太远则不画。"
        "在它旁边格点很粗：凡与它共用缩放因子的都如此。",
    ),
    # outliers
    "outliers": ("What outliers cost those that share a scale with them", "离群值的代价"),
    "shared": ("one scale for", "共用范围"),
    "shared_tensor": ("the tensor", "整个张量"),
    "shared_channel": ("each channel", "每个通道"),
    "shared_group": ("groups of {size}", "每组 {size} 个"),
    "groups": ("groups", "组数"),
    "stretched": ("range is longer by (worst)", "范围被拉长（最差）"),
    "bits_lost": ("bits lost, mean", "平均损失比特"),
    "spoiled": ("groups spoiled", "受损的组"),
    "int8_db": ("int8, dB", "int8（dB）"),
    "int4_db": ("int4, dB", "int4（dB）"),
    "sharing_of": (
        "Signal to noise, by who shares a scale",
        "按共用缩放因子的范围比较信噪比",
    ),
    "outliers_are": (
        "Without the largest 1 % of its weights (one at least) a group's range would be shorter by "
        "that factor. Where it is 2 or more, the others lose a bit or more: the group is spoiled. "
        "Smaller groups lock outliers in: fewer weights pay for each, at the price of more scales.",
        "去掉一组中最大的 1 %（至少一个）后，范围会缩短到几分之一。达到 2 倍时，"
        "其余权重至少损失一个比特：这一组就受损了。"
        "组越小，受一个离群值拖累的权重越少，代价是缩放因子更多。",
    ),
}

EXPLANATION_WORDS: dict[str, Words] = {
    language: {name: pair[n] for name, pair in _PAIRS.items()}
    for n, language in enumerate(LANGUAGES)
}
