import pytest

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import prometheus


def text(drafts, accepted, *, total="_total", preemptions=0, engines=("0",)):
    lines = ["# HELP vllm:spec_decode_num_drafts_total Number of spec decoding drafts.", "# TYPE x counter"]
    for engine in engines:
        label = f'engine="{engine}",model_name="a{{b}}, \\"c\\""'
        values = {
            "spec_decode_num_drafts": drafts,
            "spec_decode_num_draft_tokens": drafts * len(accepted),
            "spec_decode_num_accepted_tokens": sum(accepted),
            "num_preemptions": preemptions,
        }
        lines += [f"vllm:{name}{total}{{{label}}} {float(value)}" for name, value in values.items()]
        lines += [
            f'vllm:spec_decode_num_accepted_tokens_per_pos{total}{{{label},position="{i}"}} {float(n)}'
            for i, n in enumerate(accepted)
        ]
        lines.append(f"vllm:spec_decode_num_drafts_created{{{label}}} 1.7e+09")
    return "\n".join([*lines, "python_gc_objects 3.0", ""])


@pytest.mark.parametrize("total", ["_total", ""])
def test_counts_since_the_server_started(save, total):
    counts, preemptions = prometheus.counts([save(text(100, [70, 40, 20], total=total, preemptions=3))])
    assert (counts.drafts, counts.drafted, counts.accepted) == (100, 300, 130)
    assert counts.per_position == (70, 40, 20)
    assert counts.draft_length == 3
    assert preemptions == 3


def test_counts_between_two_moments(save):
    before, after = (
        save(text(100, [70, 40], preemptions=1), "a"),
        save(text(150, [100, 55], preemptions=1), "b"),
    )
    counts, preemptions = prometheus.counts([before, after])
    assert (counts.drafts, counts.drafted, counts.accepted) == (50, 100, 45)
    assert counts.per_position == (30, 15)
    assert preemptions == 0
    with pytest.raises(DataError, match="restarted between, or the files are swapped"):
        prometheus.counts([after, before])


def test_the_first_moment_may_be_before_anything_was_drafted(save):
    counts, _ = prometheus.counts([save("up 1\n", "a"), save(text(10, [5]), "b")])
    assert counts.drafts == 10


def test_engines_of_a_server_are_summed(save):
    counts, _ = prometheus.counts([save(text(100, [70, 40], engines=("0", "1")))])
    assert (counts.drafts, counts.per_position) == (200, (140, 80))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("up 1\n", "does not speculate"),
        ("", "no metrics in it"),
        ("{}", "not Prometheus text"),
        (text(0, [0, 0]), "nothing was drafted"),
    ],
)
def test_texts_without_counts(save, content, says):
    with pytest.raises(DataError, match=says):
        prometheus.counts([save(content)])


def test_missing_file_folder_and_too_many(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        prometheus.counts([tmp_path / "x"])
    with pytest.raises(DataError, match="is a folder"):
        prometheus.counts([tmp_path])
    with pytest.raises(DataError, match="3 metrics files"):
        prometheus.counts([tmp_path] * 3)
