"""How well similarity of first steps predicts a common answer, for each encoder of a log.

For every problem, over the pairs of its solutions: the area under the ROC curve of "both end in
the same answer" by cosine similarity of the first m steps; 0.5 is no better than a coin. Reports
the mean over problems with its standard error, and the same for "both are right or both wrong".

    python benchmarks/encoders.py LOG --encoders tfidf tfidf-char sentence-transformers:MODEL
"""

import argparse
import time
from itertools import islice

import numpy as np
from sklearn.metrics import roc_auc_score

from dora_theory.replay.cut.candidates import steps_of
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.grade.grading import judged
from dora_theory.replay.read.readers import read_log


def areas(records, encoder, steps):
    """AUC for the answer and for correctness of each problem where they differ, similarities."""
    by_answer, by_verdict, similarities = [], [], []
    for record in records:
        prefixes = ["\n\n".join(steps_of(s.text)[:steps]) for s in record.samples]
        rows = encoder(prefixes)
        unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
        i, j = np.triu_indices(len(prefixes), 1)
        similarity = (unit @ unit.T)[i, j]
        similarities.append(similarity)
        answers = np.array([s.final_answer or final_answer(s.text) or "" for s in record.samples])
        verdicts = np.array([s.correct for s in record.samples])
        for values, out in ((answers, by_answer), (verdicts, by_verdict)):
            same = values[i] == values[j]
            if 0 < same.sum() < len(same):
                out.append(roc_auc_score(same, similarity))
    return np.array(by_answer), np.array(by_verdict), np.concatenate(similarities)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("--encoders", nargs="+", default=["tfidf", "tfidf-char"], metavar="E")
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 2, 3, 4], metavar="M")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th problem")
    options = parser.parse_args()
    with Judge() as judge:
        records = [
            judged(record, judge)
            for record in islice(read_log(options.log), 0, None, options.every)
        ]
    print(f"{options.log}: {len(records)} problems")
    print("| steps | encoder | same answer | same verdict | similarity 10%, 50%, 90% | seconds |")
    print("|---|---|---|---|---|---|")
    for steps in options.steps:
        for name in options.encoders:
            encoder = make_encoder(name)
            start = time.perf_counter()
            *by, similarity = areas(records, encoder, steps)
            seconds = time.perf_counter() - start
            cells = [f"{a.mean():.3f} ± {a.std(ddof=1) / len(a) ** 0.5:.3f}" for a in by]
            low, middle, high = np.quantile(similarity, [0.1, 0.5, 0.9])
            print(
                f"| {steps} | {name} | {cells[0]} | {cells[1]} "
                f"| {low:.2f}, {middle:.2f}, {high:.2f} | {seconds:.1f} |"
            )


if __name__ == "__main__":
    main()
