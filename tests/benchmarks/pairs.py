"""All pairs of a sample under two encoders, against one fp32 matrix product of the same size.

Cosines, histograms, quantiles, rank correlation, shared neighbours and disagreements of 10,000
papers are compared with numpy's product of one encoder's vectors with themselves. The vectors are
random: their values do not change the time.

    python -m tests.benchmarks.pairs --papers 10000
"""

import argparse
import resource
import time

import numpy as np

from astrosearch.comparison.distribution import pair_distributions
from astrosearch.encoders.vectors import unit_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, nargs=2, default=(512, 384))
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    spaces = [
        unit_rows(generator.normal(size=(arguments.papers, dimension)).astype(np.float32))
        for dimension in arguments.dimensions
    ]
    start = time.perf_counter()
    distributions, _ = pair_distributions(spaces, disagreements=10)
    ours = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    product = spaces[0] @ spaces[0].T
    peer = time.perf_counter() - start
    assert abs(float(product[0, 1]) - float(spaces[0][0] @ spaces[0][1])) < 1e-4
    print(
        f"{distributions[0].pairs:,} pairs under {len(spaces)} encoders: "
        f"{ours:.1f} s, {memory:,.0f} MB"
    )
    print(f"one fp32 matrix product: {peer:.2f} s")
    print(f"ratio {ours / peer:.1f}")


if __name__ == "__main__":
    main()
