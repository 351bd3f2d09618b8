"""Estimates gravity from a simulated pendulum, with its uncertainty. Run it: pekka run pendulum.py --swings 200"""

import argparse

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--swings", type=int, default=100)
swings = parser.parse_args().swings

rng = np.random.default_rng(1)
length = 1.0 + rng.normal(0, 0.002, swings)
period = 2 * np.pi * np.sqrt(length / 9.81) + rng.normal(0, 0.01, swings)
gravity = 4 * np.pi**2 * 1.0 / period**2
mean, error = gravity.mean(), gravity.std(ddof=1) / np.sqrt(swings)
print(f"g = {mean:.3f} ± {error:.3f} m/s² from {swings} swings")
