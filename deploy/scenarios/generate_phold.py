#!/usr/bin/env python3
"""Prints a PHOLD scenario with a process in every cell (or every n-th), as bench and long runs want it.

    generate_phold.py [--max-delay 16] [--remote 10] [--events 1] [--every 1] > phold.textproto
"""
import argparse

parser = argparse.ArgumentParser(description="prints a PHOLD scenario")
parser.add_argument("--max-delay", type=int, default=16, help="ticks")
parser.add_argument("--remote", type=int, default=10, help="percent of sends that go to another torus")
parser.add_argument("--events", type=int, default=1, help="first events of each process")
parser.add_argument("--every", type=int, default=1, help="a process in every n-th cell")
parser.add_argument("--epoch-ticks", type=int, default=1000)
flags = parser.parse_args()

print(f"epoch_ticks: {flags.epoch_ticks}")
args = f"max_delay={flags.max_delay} remote={flags.remote} events={flags.events}"
for torus in "ABC":
    for index in range(0, 32768, flags.every):
        x, y, z = index // 1024, index // 32 % 32, index % 32
        print(f'process {{ cell {{ torus: {torus} x: {x} y: {y} z: {z} }} program: "phold" args: "{args}" }}')
