"""The coordinator: starts a worker for every candidate, compares outputs, then lets them take turns, one at a time, until the rounds are over.

A repetition qualifies if no thread of it was preempted, the nop rate beside it reached NOP_SHARE of the run's best and the multiply-add rate FMA_SHARE of the run's
best (best: the 95th percentile over all repetitions of all workers). Medians are of repetitions that qualify, of all where fewer than ENOUGH do, and said so.
After RETIRE_ROUNDS rounds, a candidate whose median is RETIRE times its engine's best takes no more turns."""
import json
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

NOP_SHARE, FMA_SHARE, ENOUGH = 0.85, 0.93, 5
RETIRE_ROUNDS, RETIRE = 2, 1.12
TOLERANCE = 2e-4  # of max(1, largest output): what differs more computes something else
HERE = os.path.dirname(os.path.abspath(__file__))


def cores_for(threads):
    """The last processors of those allowed: interrupts favour the first."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def environment(threads, scratch):
    """Threads for every library; huge pages behind large allocations, for whom they serve; PyTorch unpacks what it has compiled, and leaves it."""
    return {**os.environ, 'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=1', 'OMP_NUM_THREADS': str(threads), 'MKL_NUM_THREADS': str(threads), 'OPENBLAS_NUM_THREADS': str(threads),
            'TOKENIZERS_PARALLELISM': 'false', 'PYTHONPATH': HERE, 'TMPDIR': scratch}


class Worker:
    def __init__(self, engine, candidate, path, threads, reference, directory, probe, lanes=0, label=None):
        self.engine, self.candidate, self.path, self.threads = label or engine, candidate, path, threads
        self.rows, self.error, self.failed, self.first = [], None, None, {}
        outputs = os.path.join(directory, f'outputs-{self.engine}-{candidate}.npz'.replace(' ', '-').replace(',', ''))
        spec = dict(engine=engine, path=path, threads=threads, reference=reference, outputs=outputs, probe=probe, lanes=lanes, cores=cores_for(threads))
        self.scratch = tempfile.TemporaryDirectory(prefix='gmlpc-bench-', ignore_cleanup_errors=True)
        self.log = open(outputs.replace('.npz', '.log'), 'w')
        begin = time.monotonic()
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, 'worker.py'), json.dumps(spec)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, env=environment(threads, self.scratch.name), text=True, bufsize=1)
        self.first = self.answer(600)
        self.first['start_ms'] = (time.monotonic() - begin) * 1e3
        if 'failed' in self.first:
            return self.give_up(self.first['failed'])
        self.error = compare(outputs, reference)
        if not self.error < TOLERANCE:
            return self.give_up(f'outputs differ by {self.error:.2g}')
        self.process.send_signal(signal.SIGSTOP)

    def give_up(self, why):
        self.failed = why
        self.close()

    def answer(self, seconds):
        ready = select.select([self.process.stdout], [], [], seconds)[0]
        line = self.process.stdout.readline() if ready else ''
        return json.loads(line) if line else {'failed': 'no answer' if not ready else f'ended with code {self.process.wait()}'}

    def turn(self, seconds, least):
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(f'turn {seconds} {least}\n')
            rows = self.answer(seconds * 20 + 120)
        except BrokenPipeError:
            rows = {'failed': f'ended with code {self.process.wait()}'}
        if isinstance(rows, dict):
            return self.give_up(rows['failed'])
        self.process.send_signal(signal.SIGSTOP)
        self.rows += rows

    def median(self):
        return middle(self.rows)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        self.scratch.cleanup()


def middle(rows):
    return statistics.median(row[0] for row in rows)


def compare(outputs, reference):
    """Largest difference over outputs, relative to max(1, largest expected)."""
    with np.load(outputs) as got, np.load(reference) as stored:
        worst = 0.0
        expected = [stored[name] for name in stored.files if name.startswith('out ')]
        if len(got.files) < len(expected):
            return float('inf')
        for k, want in enumerate(expected):
            have = got[f'arr_{k}']
            if have.size != want.size:
                return float('inf')
            worst = max(worst, float(np.max(np.abs(have.reshape(want.shape) - want))) / max(1.0, float(np.max(np.abs(want)))))
        return worst if worst == worst else float('inf')


def rounds(workers, count, seconds, least=2, seed=0, started=0):
    """`count` rounds in a random order each; `started`: rounds before these."""
    order = random.Random(seed + started)
    for number in range(started, started + count):
        live = [w for w in workers if not w.failed]
        if number >= RETIRE_ROUNDS:
            best = {}
            for w in live:
                if w.rows:
                    best[w.engine] = min(best.get(w.engine, 1e99), w.median())
            live = [w for w in live if not w.rows or w.median() <= RETIRE * best[w.engine]]
        order.shuffle(live)
        for w in live:
            w.turn(seconds, least)


def result(workers):
    """Everything measured, as data: judged by report.py."""
    return [dict(engine=w.engine, candidate=w.candidate, path=w.path, failed=w.failed, error=w.error, first=w.first, rows=w.rows) for w in workers]
