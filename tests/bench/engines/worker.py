"""A process with one engine loaded, which runs when told so and is stopped by its coordinator otherwise.

argv[1]: {"engine", "path", "threads", "reference", "outputs", "probe", "lanes", "cores"}.  Prints a line of JSON when the first answer is there, and for every line
"turn SECONDS LEAST" of standard input the repetitions of one turn: [milliseconds, involuntary context switches, nop rate, multiply-add rate, mean multiply-add
rate], the rates being the lower of those just before and just after the repetition, over all cores in use, the last one the mean of the two. With several threads the probe lets the processors sleep, and a virtual
one may be slow to come back: a run that isn't timed goes before each repetition, as no engine sleeps before those of one thread."""
import ctypes
import gc
import json
import os
import resource
import sys
import time

spec = json.loads(sys.argv[1])
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: a stopped worker must not outlive its coordinator
os.sched_setaffinity(0, spec['cores'])  # before any engine counts the processors

import numpy as np

import engines
import machine


def turn(run, probe, seconds, least):
    run()
    rows, end = [], time.monotonic() + seconds
    before = probe()
    while len(rows) < least or time.monotonic() < end:
        if probe.sleeps:
            run()
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        begin = time.perf_counter()
        run()
        passed = (time.perf_counter() - begin) * 1e3
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        after = probe()
        rows.append([passed, switches, min(before[0], after[0]), min(before[1], after[1]), (before[1] + after[1]) / 2])
        before = after
    return rows


def mapped():
    """Bytes of the files that the engine brought into this process: shared objects and Python files of packages, none of the system or of CUDA."""
    files = set()
    with open('/proc/self/maps') as maps:
        for line in maps:
            path = line.rstrip('\n').split(' ', 5)[-1].strip()
            if path.startswith('/') and '.so' in path and not path.startswith(('/usr/lib', '/lib')):
                files.add(path)
    for module in list(sys.modules.values()):
        path = getattr(module, '__file__', None)
        if path and 'site-packages' in path:
            files.add(path)
    skip = ('cuda', 'nvidia', 'cudnn', 'nccl', 'cusparselt', '/numpy', 'lib-dynload')
    return sum(os.path.getsize(path) for path in files if os.path.exists(path) and not any(word in path for word in skip))


def main():
    with np.load(spec['reference']) as stored:
        inputs = {name[3:]: stored[name] for name in stored.files if name.startswith('in ')}
    answers = os.dup(1)
    os.dup2(2, 1)
    say = lambda value: os.write(answers, (json.dumps(value) + '\n').encode())
    try:
        run = engines.ENGINES[spec['engine']].load(spec['path'], spec['threads'], inputs)
        outputs = [np.array(y) for y in run()]
    except Exception as problem:
        say({'failed': f'{type(problem).__name__}: {problem}'.splitlines()[0][:200]})
        raise
    np.savez(spec['outputs'], *outputs)
    say({'rss': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, 'mapped': mapped(), 'note': getattr(run, 'note', '')})
    probe = machine.Probe(spec['probe'], spec['lanes'], spec['cores'])
    gc.disable()
    for line in sys.stdin:
        _, seconds, least = line.split()
        say(turn(run, probe, float(seconds), int(least)))


main()
