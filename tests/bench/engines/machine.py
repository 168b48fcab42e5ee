"""The machine and the revision measured, and the probe of its momentary rates."""
import concurrent.futures
import ctypes
import os
import platform
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def probe(directory):
    path = os.path.join(directory, 'probe.so')
    source = os.path.join(HERE, 'probe.c')
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        subprocess.run(['cc', '-O2', '-shared', '-fPIC', source, '-o', path], check=True)
    return path


def describe():
    fields = {}
    with open('/proc/cpuinfo') as info:
        for line in info:
            name, _, value = line.partition(':')
            fields.setdefault(name.strip(), value.strip())
    vectors = [name for name in ('avx2', 'fma', 'avx512f', 'asimd') if name in (fields.get('flags') or fields.get('Features') or '').split()]
    return f"{fields.get('model name', platform.processor() or platform.machine())} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}), " \
           f"{os.cpu_count()} processors, {' '.join(vectors)}; {platform.system()} {platform.release().split('-')[0]}"


def revision():
    top = os.environ.get('GMLPC_SOURCE', HERE)
    return subprocess.run(['git', '-C', top, 'log', '-1', '--format=%h %cs'], capture_output=True, text=True).stdout.strip()


class Probe:
    """The rates of all cores in use, at once: a thread for each beyond the first core."""

    def __init__(self, path, lanes, cores):
        self.library = ctypes.CDLL(path)
        for function in (self.library.probe_fma, self.library.probe_nop):
            function.restype = ctypes.c_double
        self.library.probe_fma.argtypes = [ctypes.c_int, ctypes.c_double]
        self.library.probe_nop.argtypes = [ctypes.c_double]
        self.lanes, self.cores = lanes, cores
        self.sleeps = len(cores) > 1
        self.pool = concurrent.futures.ThreadPoolExecutor(len(cores)) if self.sleeps else None

    def rates(self, core=None):
        if core is not None:
            os.sched_setaffinity(0, {core})  # of this thread
        return self.library.probe_nop(300), self.library.probe_fma(self.lanes, 500)

    def __call__(self):
        if not self.pool:
            return self.rates()
        time.sleep(0.005)  # let the engine's threads stop spinning
        return tuple(map(min, zip(*self.pool.map(self.rates, self.cores))))
