"""peers: whole models, gmlpc beside other engines. Called by tests/bench/peers, which says what the options mean; a piece (case, batch, threads) already in the
results directory is not measured again without --again."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import cases
import contest
import engines
import machine
import report

FAR = 1.25  # --short leaves out what was slower than its engine's best by this
ALL = ['gmlpc', 'onnxruntime', 'openvino', 'torch', 'jax']


def parse():
    parser = argparse.ArgumentParser(prog='tests/bench/peers')
    parser.add_argument('--models', default=','.join(case.name for case in cases.CASES[:6]))
    parser.add_argument('--engines', default=','.join(ALL))
    parser.add_argument('--threads', default='1,2')
    parser.add_argument('--batch', default='1')
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--seconds', type=float, default=0.6)
    parser.add_argument('--work', required=True)
    parser.add_argument('--results', required=True)
    parser.add_argument('--again', action='store_true')
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--prepare', action='store_true')
    parser.add_argument('--report', action='store_true')
    parser.add_argument('--publish', action='store_true')
    parser.add_argument('--missing', action='append', default=[])
    options = parser.parse_args()
    if options.models == 'all':
        options.models = ','.join(case.name for case in cases.CASES)
    unknown = set(options.engines.split(',')) - set(engines.ENGINES)
    if unknown:
        parser.error(f"no engine {', '.join(sorted(unknown))}: {', '.join(engines.ENGINES)}")
    return options


class Piece:
    """One case, batch and number of threads: prepared, started, measured, stored."""

    def __init__(self, options, case, batch, threads):
        self.options, self.case, self.batch, self.threads = options, case, batch, threads
        self.directory = os.path.join(options.work, f'{case.name}-b{batch}')
        self.stored = os.path.join(options.results, f'{case.name}-b{batch}-t{threads}.json')
        self.candidates, self.versions, self.notes, self.workers, self.done = [], {}, [], [], 0

    def call(self, engine):
        kept = os.path.join(self.directory, f'prepared-{engine}.json')
        if os.path.exists(kept) and not engine.startswith('gmlpc'):
            with open(kept) as answer:
                return json.load(answer)
        answer = self.ask(engine)
        if 'missing' not in answer:
            with open(kept, 'w') as out:
                json.dump(answer, out)
        return answer

    def ask(self, engine):
        log = os.path.join(self.directory, f'prepare-{engine}.log')
        os.makedirs(self.directory, exist_ok=True)
        with open(log, 'w') as out, tempfile.TemporaryDirectory(prefix='gmlpc-bench-', ignore_cleanup_errors=True) as scratch:
            run = subprocess.run([sys.executable, os.path.join(contest.HERE, 'prepare.py'), self.case.name, str(self.batch), engine, self.directory], stdout=subprocess.PIPE,
                                 stderr=out, text=True, env=contest.environment(os.cpu_count(), scratch))
        lines = run.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else {'missing': f'preparing ended with code {run.returncode}; see {log}', 'notes': []}

    def prepare(self):
        say(f'{self.case.name}, batch {self.batch}: preparing')
        answer = self.call('reference')
        if 'missing' in answer:
            raise SystemExit(f'{self.case.name}: no reference: {answer["missing"]}')
        self.reference = answer['reference']
        for engine in self.options.engines.split(','):
            answer = self.call(engine)
            self.notes += answer['notes']
            if 'missing' in answer:
                self.notes.append(f'{engine} is missing: {answer["missing"]}')
                say(self.notes[-1])
                continue
            self.versions[engine] = answer['version']
            self.candidates += [(engine, name, path) for name, path in answer['candidates'].items()]
        if self.options.short:
            behind = self.behind()
            self.notes += [f'{engine}, {name}: {why}' for (engine, name), why in sorted(behind.items())]
            self.candidates = [candidate for candidate in self.candidates if candidate[:2] not in behind]

    def behind(self):
        """Candidates that the stored measurement of this piece (or of one thread) shows as refused, or as FAR slower than their engine's best: why."""
        for path in (self.stored, self.stored.replace(f'-t{self.threads}.', '-t1.')):
            if os.path.exists(path):
                with open(path) as stored:
                    rows = json.load(stored)['rows']
                break
        else:
            return {}
        medians = {(row['engine'], row['candidate']): contest.middle(row['rows']) for row in rows if row['rows'] and not row['failed']}
        best = {}
        for (engine, _), median in medians.items():
            best[engine] = min(best.get(engine, median), median)
        why = {key: f"{median / best[key[0]]:.2f} times its engine's best in an earlier run, not measured again" for key, median in medians.items() if median > FAR * best[key[0]]}
        return {**why, **{(row['engine'], row['candidate']): row['failed'] for row in rows if row['failed']}}

    def start(self):
        probe = machine.probe(self.options.work)
        plans = [(engine, name, path, self.threads, None) for engine, name, path in self.candidates]
        if self.threads > 1:  # what the second thread brings is to be seen in the same run
            plans += [(engine, name, path, 1, 'gmlpc, one thread') for engine, name, path in self.candidates if engine == 'gmlpc']
        for engine, name, path, threads, label in plans:
            worker = contest.Worker(engine, name, path, threads, self.reference, self.directory, probe, lanes=8 if engine == 'gmlpc-avx2' else 0, label=label)
            self.workers.append(worker)
            if worker.failed:
                self.notes.append(f'{engine}, {name}: {worker.failed}')
                say(self.notes[-1])

    def rounds(self, count):
        contest.rounds(self.workers, count, self.options.seconds, started=self.done)
        self.done += count

    def starts(self):
        """Spawn to first answer with the files in the page cache, best candidate of each engine, three times; gmlpc as the C program that it is."""
        self.fresh, best = {}, {}
        if (self.batch, self.threads) != (1, 1):
            return
        for w in self.workers:
            if w.rows and (w.engine not in best or w.median() < best[w.engine].median()):
                best[w.engine] = w
        for engine, w in best.items():
            if engine == 'gmlpc, one thread':
                continue
            found = [self.first(w, engine) for _ in range(3)]
            if all(found):
                self.fresh[engine] = found
            else:
                self.notes.append(f'{engine}: no first answer from {w.path}')
                say(self.notes[-1])

    def first(self, w, engine):
        if engine.startswith('gmlpc'):
            begin = time.monotonic()
            process = subprocess.Popen([os.path.join(w.path, 'first'), os.path.join(w.path, 'model.gmw')], stdout=subprocess.PIPE, text=True)
            said = process.stdout.read()  # milliseconds of its parts; its memory as weights + arena + the rest
            process.wait()
            memory = re.search(r'peak memory ([0-9.]+) MB', said)
            return process.returncode == 0 and memory and {'start_ms': (time.monotonic() - begin) * 1e3, 'rss': float(memory[1]) * 2**20, 'said': said}
        again = contest.Worker(w.engine, w.candidate, w.path, self.threads, self.reference, self.directory, machine.probe(self.options.work))
        again.close()
        return again.first

    def store(self):
        info = next((json.load(open(os.path.join(path, 'info.json'))) for engine, _, path in self.candidates if engine.startswith('gmlpc')), {})
        data = dict(case=self.case.name, title=self.case.title or self.case.name, batch=self.batch, threads=self.threads, macs=info.get('macs', 0), info=info, versions=self.versions,
                    notes=self.notes, machine=machine.describe(), revision=machine.revision(), measured=time.strftime('%Y-%m-%d %H:%M'), rows=contest.result(self.workers),
                    fresh=self.fresh, sizes=self.sizes())
        os.makedirs(self.options.results, exist_ok=True)
        with open(self.stored, 'w') as out:
            json.dump(data, out)
        return data

    def sizes(self):
        """Bytes on disk: {candidate: model files}; of gmlpc, the machine code and the packed weights."""
        found = {}
        for engine, name, path in self.candidates:
            if engine.startswith('gmlpc'):
                code = subprocess.run(['size', os.path.join(path, 'model.o')], capture_output=True, text=True).stdout.splitlines()
                found[f'{engine}, {name}'] = {'code': int(code[1].split()[0]) if len(code) > 1 else 0, 'model': os.path.getsize(os.path.join(path, 'model.gmw'))}
            else:
                files = [path] + [p for p in (path.replace('.xml', '.bin'),) if p != path and os.path.exists(p)]
                found[f'{engine}, {name}'] = {'model': sum(map(os.path.getsize, files))}
        return found

    def close(self):
        for w in self.workers:
            w.close()


def say(text):
    print(text, file=sys.stderr, flush=True)


def pieces(options):
    for name in options.models.split(','):
        for batch in options.batch.split(','):
            for threads in options.threads.split(','):
                yield Piece(options, cases.find(name), int(batch), int(threads))


def main():
    options = parse()
    os.makedirs(options.work, exist_ok=True)
    for piece in [] if options.report or options.publish else pieces(options):
        if os.path.exists(piece.stored) and not options.again:
            say(f'{os.path.basename(piece.stored)} is there')
            continue
        piece.notes += options.missing
        piece.prepare()
        if options.prepare:
            continue
        say(f'{piece.case.name}, batch {piece.batch}, {piece.threads} threads: {len(piece.candidates)} candidates')
        piece.start()
        try:
            piece.rounds(options.rounds)
            piece.starts()
            say(report.lines(piece.store()))
        finally:
            piece.close()
    if not options.prepare:
        print(report.write(options.results))
    if options.publish:
        report.publish(options.results, os.path.basename(os.path.normpath(options.results)))


if __name__ == '__main__':
    main()
