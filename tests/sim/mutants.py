#!/usr/bin/env python3
"""Which mistakes in the engine the simulator finds alone, without a unit test or a scenario.

Takes a random sample of the mutants that cargo-mutants makes of host/metering, builds the simulator with each of them in a
copy of the tree, and runs it until its first failing seed. A mutant is found if a seed fails, panics or never ends; or if,
with 5,000 seeds or more, something is never exercised. Needs cargo-mutants and patch.

    tests/sim/mutants.py [--sample 120] [--seed 1] [--seeds 5000] [--threads 2] [--only REGEX]
"""

import argparse
import json
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What no run of the simulator can notice, whatever it checks: words for people, and what only the host asks for.
OUT_OF_REACH = [
    (r"impl .*Display for", "what an error or an hour says to people"),
    (r" in fold_smallest$", "an hour of a run has at most eight tag sets, not 2,500"),
    (r" in escape$", "how an entry is spelled: in a run any text is right that reads back as itself"),
]


def mutants():
    listed = ["cargo", "mutants", "-p", "tollgate-metering", "--list", "--json", "--diff"]
    every = json.loads(subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout)
    return sorted(every, key=lambda mutant: mutant["name"])


def copy_to(tree):
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def build(tree):
    return subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "-p", "tollgate-sim", "--target-dir", tree / "target"],
        cwd=tree,
        capture_output=True,
    )


def found(tree, arguments):
    """The first thing that the simulator says against the mutant; None: nothing."""
    command = [tree / "target/debug/tollgate-sim", "--seeds", arguments.seeds, "--threads", arguments.threads]
    run = subprocess.Popen(map(str, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    late = []
    clock = threading.Timer(arguments.seconds, lambda: (late.append(True), run.kill()))
    clock.start()
    said = None
    for line in run.stdout:
        if re.match(r"seed \d+: |never exercised: |thread .* panicked", line):
            said = line.strip()
            run.kill()
            break
    run.stdout.close()
    status = run.wait()
    clock.cancel()
    if said is None and late:
        said = f"not over after {arguments.seconds} s"
    if said is None and status != 0:
        said = f"exit status {status}"
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=120, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--seeds", type=int, default=5_000, help="of the simulator, for each mutant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=900, help="a mutant that takes longer hangs")
    parser.add_argument("--only", default="", help="only mutants of which the name matches")
    arguments = parser.parse_args()

    every = mutants()
    sample = random.Random(arguments.seed).sample(every, min(arguments.sample, len(every)))
    sample = [mutant for mutant in sample if re.search(arguments.only, mutant["name"])]
    count = dict.fromkeys(["found", "missed", "out of reach", "does not compile"], 0)
    with tempfile.TemporaryDirectory(prefix="tollgate-mutants-") as folder:
        tree = pathlib.Path(folder)
        copy_to(tree)
        if build(tree).returncode != 0 or found(tree, arguments):
            raise SystemExit("the simulator fails without a mutant")
        for mutant in sample:
            name = mutant["name"]
            source = tree / mutant["file"]
            original = source.read_bytes()
            subprocess.run(["patch", "-s", source], input=mutant["diff"], text=True, check=True)
            said = None
            if build(tree).returncode != 0:
                verdict = "does not compile"
            else:
                said = found(tree, arguments)
                reason = next((reason for pattern, reason in OUT_OF_REACH if re.search(pattern, name)), None)
                verdict = "found" if said else "out of reach" if reason else "missed"
                said = said or reason
            source.write_bytes(original)
            count[verdict] += 1
            print(f"{verdict}: {name}" + (f"\n    {said[:200]}" if said else ""), flush=True)
    print(f"{len(sample)} of {len(every)} mutants: " + ", ".join(f"{number} {word}" for word, number in count.items()))
    reached = count["found"] + count["missed"]
    real = reached + count["out of reach"]
    print(f"found {count['found'] / real:.1%} of those that are real, {count['found'] / reached:.1%} of those in reach")


if __name__ == "__main__":
    main()
