"""`penjing study` from the command line."""

import signal
import time


def test_a_rehearsal_shows_tables_and_leaves_a_report(penjing, tmp_path, text_file):
    words = ("study", "optimizers", "--quick", "--text", str(text_file))
    result = penjing(*words)
    assert result.code == 0, result.err
    assert (tmp_path / "runs" / "study-optimizers" / "report.html").is_file()
    assert "A learning rate for each · 各自的学习率" in result.out
    assert "AdamW" in result.out and "report.html" in result.out
    assert "left  Muon, rate 0.01" in result.out
    assert " + " not in result.out  # a rehearsal bears out no claim
    assert penjing(*words).code == 0  # numbered, nothing is overwritten
    assert (tmp_path / "runs" / "study-optimizers-2").is_dir()


def test_wrong_words_say_what_was_meant(penjing, tmp_path):
    result = penjing("study", "optimisers")
    assert result.code == 2 and "Did you mean 'optimizers'" in result.err
    assert penjing("study").code == 2
    result = penjing("study", "optimizers", "--seeds", "0")
    assert result.code == 2 and "seeds must be from 1" in result.err
    result = penjing("study", "optimizers", "--quick", "--text", "nowhere")
    assert result.code == 1 and "There is no file or folder nowhere" in result.err
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_exists_is_refused(penjing, tmp_path):
    result = penjing("study", "optimizers", "--out", str(tmp_path))
    assert result.code == 1 and "exists already" in result.err


def test_ctrl_c_leaves_nothing(process, tmp_path, text_file):
    running = process("study", "ablations", "--text", str(text_file), "--out", "report")
    lines = [running.stdout.readline()]
    while "left" not in lines[-1]:
        assert lines[-1], running.stderr.read()
        lines.append(running.stdout.readline())
    time.sleep(1.0)  # into the training
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130 and "Interrupted" in err and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir() if path != text_file] == []
