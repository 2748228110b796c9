"""What the pages about runs say, in English and in Chinese."""

from collections.abc import Mapping

Words = Mapping[str, str]

_PAIRS: dict[str, tuple[str, str]] = {
    "language": ("en", "zh"),
    # state
    "finished": ("finished", "已完成"),
    "interrupted": ("interrupted", "已中断"),
    "failed": ("failed", "失败"),
    "stopped_at": (
        "The run stands at step {step} of {steps}. To go on with it:",
        "训练停在第 {step} 步，共 {steps} 步。继续训练：",
    ),
    "failed_at": (
        "The run stopped at step {step} of {steps}: a number was no longer finite (see below).",
        "训练在第 {step} 步停止，共 {steps} 步：出现了非有限的数值（见下文）。",
    ),
    # headline
    "bits_per_byte": ("bits per byte", "每字节比特数"),
    "of_validation": ("validation text", "验证文本"),
    "loss": ("loss", "损失"),
    "nats": ("nats per token; perplexity {perplexity}", "奈特/词元；困惑度 {perplexity}"),
    "best_at": ("best at step {step}: {value}", "最佳在第 {step} 步：{value}"),
    "below": ("better than {name} ({value})", "优于 {name}（{value}）"),
    "speed": ("speed", "速度"),
    "mfu_of": ("tokens/s; {mfu} of the peak", "词元/秒；峰值的 {mfu}"),
    "per_second": ("tokens/s", "词元/秒"),
    "time": ("time", "用时"),
    "time_parts": ("{train} training, {save} saving", "训练 {train}，保存 {save}"),
    "time_training": ("of training steps", "训练步骤所用"),
    "parameters": ("parameters", "参数"),
    "shape": (
        "{family}, {layers} layers, {width} wide, context {context}",
        "{family}，{layers} 层，宽 {width}，上下文 {context}",
    ),
    "steps": ("steps", "步数"),
    "steps_parts": (
        "{tokens} tokens, {epochs} times the text",
        "{tokens} 词元，文本的 {epochs} 遍",
    ),
    # curves
    "curves": ("Learning", "学习过程"),
    "learning": (
        "Bits per byte: how many bits the model needs for one byte of text. Lower is better, and "
        "other tokenizers can be compared. Dotted lines are predictors without a network: all "
        "tokens alike (uniform), how common each is (unigram), counts of two or three in a row.",
        "每字节比特数：模型编码一个字节的文本需要多少比特，越低越好，并且可以在不同分词器之间比较。"
        "虚线是不用神经网络的预测：所有词元等概率（uniform）、只看词频（unigram）、"
        "只看两个或三个连续词元的频次（bigram、trigram）。",
    ),
    "learning_nats": (
        "Nats per token: the log does not say how many bytes a token stands for.",
        "奈特/词元：日志没有记录每个词元对应多少字节。",
    ),
    "training": ("training", "训练"),
    "training_smooth": ("training, smoothed", "训练（平滑）"),
    "validation": ("validation", "验证"),
    "expected": ("expected at the end", "预期终值"),
    "step": ("step", "步"),
    "closer": ("The later part, closer", "后段放大"),
    "machine": ("Inside the run", "训练内部"),
    "rate": ("Learning rate, as a factor of its peak", "学习率（相对峰值）"),
    "grad_norm": ("Norm of all gradients", "全部梯度的范数"),
    "tokens_per_second": ("Tokens per second", "每秒词元数"),
    "mfu": ("MFU: share of the measured peak, %", "MFU：实测峰值的百分比"),
    "gradients": ("Gradient norm by layer", "各层梯度范数"),
    "weights": ("Weight norm by layer", "各层权重范数"),
    "dead": ("Neurons that never wake, %", "从不激活的神经元（%）"),
    # diagnoses
    "diagnoses": ("Diagnosis", "诊断"),
    "healthy": ("Nothing was found wrong with this run.", "这次训练没有发现问题。"),
    "evidence": ("Evidence:", "依据："),
    "remedy": ("What to do:", "怎么办："),
    "nonfinite_at": (
        "Not finite at step {step}: {what}",
        "第 {step} 步出现非有限数值：{what}",
    ),
    "between": (", ", "，"),
    "nonfinite_weight": ("weight", "权重"),
    "nonfinite_activation": ("activation", "激活值"),
    "nonfinite_loss": ("loss", "损失"),
    "nonfinite_gradient": ("gradient", "梯度"),
    "nonfinite_layer": ("layer {layer}", "层 {layer}"),
    "nonfinite_rows": ("row {rows} of the batch", "批中第 {rows} 行"),
    "nonfinite_together": (
        "loss {loss}, gradient norm {norm}; no row does so by itself",
        "损失 {loss}，梯度范数 {norm}；任何一行单独都不会如此",
    ),
    "then_stop": ("The run stopped.", "训练就此停止。"),
    "then_skip": ("This batch was left out.", "跳过了这一批。"),
    "then_rollback": ("It went back to the last checkpoint.", "回到了上一个检查点。"),
    "resumed_at": ("Went on from step {step}.", "从第 {step} 步继续。"),
    # forecast
    "forecast": ("Forecast and what happened", "预测与实际"),
    "no_forecast": ("This log has no forecast.", "日志中没有预测。"),
    "quantity": ("", ""),
    "foreseen": ("forecast", "预测"),
    "happened": ("happened", "实际"),
    "difference": ("difference", "差异"),
    "step_seconds": ("seconds per step", "每步秒数"),
    "whole_time": ("whole run", "全程用时"),
    "tokens": ("tokens read", "读取词元"),
    "memory": ("memory at the peak", "内存峰值"),
    "disk": ("disk, at most", "磁盘（至多）"),
    "flops": ("arithmetic of training", "训练运算量"),
    "memory_parts": ("Memory by part, MB", "各部分内存（MB）"),
    "parameter_parts": ("Parameters by part", "各部分参数"),
    # text, transfer, samples, settings
    "text": ("Text and tokenizer", "文本与分词器"),
    "sources": ("sources", "来源"),
    "documents": ("documents", "文档"),
    "characters": ("characters", "字符"),
    "train_text": ("to train on", "用于训练"),
    "validation_text": ("kept for validation", "留作验证"),
    "duplicates": ("duplicates left out", "去除的重复文档"),
    "overlap": ("of the validation text was trained on", "验证文本中被训练过的比例"),
    "tokens_noun": ("tokens", "词元"),
    "tokenizer": ("tokenizer", "分词器"),
    "tokenizer_is": (
        "{kind}, {size} tokens, {bytes} bytes a token",
        "{kind}，{size} 个词元，每个 {bytes} 字节",
    ),
    "transfer": ("Going on from a model: before and after", "在已有模型上继续：前后对比"),
    "before": ("before", "之前"),
    "after": ("after", "之后"),
    "samples": ("Samples over time", "各阶段的生成样本"),
    "found_first": ("before the first step: {title}", "第一步之前：{title}"),
    "found_at": ("step {step}: {title}", "第 {step} 步：{title}"),
    "at_step": ("step {step}", "第 {step} 步"),
    "empty_sample": ("(nothing)", "（空）"),
    "settings": ("All settings", "全部设置"),
    "setting": ("setting", "设置"),
    "value": ("value", "值"),
    # comparison
    "best": ("best bits per byte", "最佳每字节比特数"),
    "comparison": ("Runs compared", "训练对比"),
    "figures": ("Figures", "指标"),
    "state": ("state", "状态"),
    "model": ("model", "模型"),
    "differing": ("Settings that differ", "不同的设置"),
    "none_differ": ("All settings are the same.", "全部设置相同。"),
    "by_step": ("By step", "按步数"),
    "by_tokens": ("By tokens read", "按读取的词元数"),
    "by_time": ("By minutes of training", "按训练时间（分钟）"),
    "minutes": ("minutes", "分钟"),
    "lines": (
        "Thick lines: the validation text. Thin lines: the training batches.",
        "粗线：验证文本。细线：训练批次。",
    ),
}

LANGUAGES = ("en", "zh")
WORDS: dict[str, Words] = {
    language: {name: pair[n] for name, pair in _PAIRS.items()}
    for n, language in enumerate(LANGUAGES)
}

# The loss doctor's causes, for readers of Chinese; logs name them in English.
CAUSES_ZH: dict[str, tuple[str, str]] = {
    "nonfinite": (
        "出现非有限数值（NaN 或无穷）",
        "查看那一批文本；降低学习率；或用 float32。train.on_nonfinite 可以跳过该批或回滚。",
    ),
    "divergence": ("损失发散", "回到保存的最佳检查点，降低学习率，或延长预热。"),
    "rate_too_high": ("学习率过高", "降低学习率或延长预热；--range-test 会给出合适的范围。"),
    "rate_too_low": ("学习率过低", "提高学习率；--range-test 会给出合适的范围；或增加步数。"),
    "plateau": (
        "损失停在 unigram 水平",
        "模型只学到了词频。降低学习率并延长预热；或检查文本本身是否有规律可学。",
    ),
    "overfitting": (
        "过拟合",
        "最佳检查点已保留。增加文本；或使用 dropout 和权重衰减；或减少步数；或换更小的模型。",
    ),
    "above_band": ("最终损失高于同类训练的水平", "用 --range-test 找到合适的学习率；检查文本。"),
    "exploding_gradients": ("梯度爆炸", "启用梯度裁剪，降低学习率，延长预热。"),
    "vanishing_gradients": ("梯度消失", "减少层数，或使用带归一化的模型族（qwen3）。"),
    "dead_neurons": ("神经元死亡", "降低学习率；减小 model.n_inner，或使用门控的模型族（qwen3）。"),
    "duplicate_data": ("文本大量重复", "重复的文档已去除，实际文本比文件少；请补充新的文本。"),
    "leak": (
        "验证文本被训练过",
        "验证损失好得不真实：去除来源中的重复段落，或用别处的完整文档验证。",
    ),
    "repeated_data": (
        "文本被反复读取太多遍",
        "四遍以内几乎等于新文本，之后收益递减：增加文本或减少步数。",
    ),
    "too_little_data": (
        "对这个模型来说文本太少",
        "模型会背下文本：增加文本，或减小模型、步数，或用 dropout。",
    ),
    "slowdown": ("训练变慢", "检查机器上是否有其他任务、是否过热或内存不足。"),
}
