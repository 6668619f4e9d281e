"""Fit the ranking weights of one profile from feature dumps.

    python scripts/fit_weights.py DUMP [DUMP ...] --profile People [--use NAME,NAME] [--l2 0.03]
                                  [--folds 5] [--temperature 6] [--round 0.05]

A dump holds JSON lines. The first names the features: {"features": ["lex", ...]}. Each other line is a
query: {"qid", "scope", "profile", "relevant": number of relevant turns, "turns": [[1 or 0, value, ...], ...]}
with the turns best first under the weights in use, each opened by whether it is relevant. The example
`cml_eval --dump-features FILE` writes it.

The weights minimise the listwise loss of ListNet (Cao et al. 2007): cross-entropy between the relevant
turns of a query, each with the same share, and the softmax of temperature * score over its candidates,
plus l2 / 2 * squared distance from where the fit starts. Cross-validation leaves out whole scopes, so that
no conversation is both fitted and judged. Needs numpy.
"""
import argparse
import json
import random

import numpy as np


def load(path, profile):
    """-> (feature names, queries of the profile that have a relevant candidate or not)"""
    queries = []
    with open(path, encoding="utf-8") as file:
        names = json.loads(next(file))["features"]
        for line in file:
            query = json.loads(line)
            if query["profile"] != profile or not query["relevant"] or not query["turns"]:
                continue
            rows = np.array(query["turns"], dtype=np.float32)
            queries.append({"scope": query["scope"], "relevant": query["relevant"], "y": rows[:, 0], "x": rows[:, 1:]})
    return names, queries


def metrics(queries, weights, k=10):
    """-> arrays of R@k and reciprocal rank"""
    recalls, ranks = [], []
    for query in queries:
        hits = query["y"][np.argsort(-(query["x"] @ weights), kind="stable")]
        found = np.flatnonzero(hits)
        recalls.append(hits[:k].sum() / query["relevant"])
        ranks.append(1 / (found[0] + 1) if len(found) else 0.0)
    return np.array(recalls), np.array(ranks)


def fit(queries, start, free, l2, temperature, steps=300, rate=0.03):
    """Gradient descent (Adam) on the weights marked in `free`, from `start`."""
    queries = [query for query in queries if query["y"].any()]
    longest = max(len(query["y"]) for query in queries)
    x = np.zeros((len(queries), longest, len(start)), dtype=np.float32)
    target = np.zeros((len(queries), longest), dtype=np.float32)
    padding = np.full((len(queries), longest), -1e9, dtype=np.float32)
    for i, query in enumerate(queries):
        n = len(query["y"])
        x[i, :n], padding[i, :n] = query["x"], 0
        target[i, :n] = query["y"] / query["y"].sum()
    weights = start * free
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(steps):
        scores = temperature * (x @ weights.astype(np.float32)) + padding
        scores -= scores.max(axis=1, keepdims=True)
        share = np.exp(scores)
        share /= share.sum(axis=1, keepdims=True)
        gradient = np.einsum("qt,qtf->f", share - target, x) / len(queries)
        gradient = (gradient + l2 * (weights - start * free)) * free
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        unbiased = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.99 ** (step + 1))
        weights -= rate * (1 - step / steps) * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return weights


def cross_validate(queries, start, free, folds, **options):
    """-> mean R@10 and MRR over queries, each judged by weights that never saw its scope"""
    scopes = sorted({query["scope"] for query in queries})
    random.Random(0).shuffle(scopes)
    fold = {scope: i % folds for i, scope in enumerate(scopes)}
    recalls, ranks = [], []
    for i in range(min(folds, len(scopes))):
        weights = fit([q for q in queries if fold[q["scope"]] != i], start, free, **options)
        recall, rank = metrics([q for q in queries if fold[q["scope"]] == i], weights)
        recalls.append(recall)
        ranks.append(rank)
    return np.concatenate(recalls).mean(), np.concatenate(ranks).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dumps", nargs="+")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--use", help="features to weigh, separated by commas; default: all")
    parser.add_argument("--start", default="{}", help="JSON object of weights to start from and stay near")
    parser.add_argument("--l2", type=float, default=0.03)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=6.0)
    parser.add_argument("--round", type=float, default=0.05)
    args = parser.parse_args()
    queries = []
    for path in args.dumps:
        names, more = load(path, args.profile)
        queries += more
    use = args.use.split(",") if args.use else names
    free = np.array([name in use for name in names], dtype=np.float64)
    given = json.loads(args.start)
    start = np.array([given.get(name, 0.0) for name in names])
    options = {"l2": args.l2, "temperature": args.temperature}

    def show(label, recall, rank):
        print(f"{label:24s} R@10 {100 * recall:6.2f}  MRR {100 * rank:6.2f}")

    print(f"{len(queries)} queries, {len({query['scope'] for query in queries})} scopes")
    show("start", *(m.mean() for m in metrics(queries, start)))
    show("cross-validated", *cross_validate(queries, start, free, args.folds, **options))
    weights = fit(queries, start, free, **options)
    show("fitted", *(m.mean() for m in metrics(queries, weights)))
    weights = np.round(weights / args.round) * args.round
    show("fitted, rounded", *(m.mean() for m in metrics(queries, weights)))
    print(", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights) if abs(weight) > 1e-9))


if __name__ == "__main__":
    main()
