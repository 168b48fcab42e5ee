"""Stored measurements as tables: lines() for the terminal, write() for markdown, CSV and SVG. The rule by which a repetition counts is contest.py's."""
import csv
import glob
import json
import os
import re
import shutil
import statistics
import subprocess

import contest

TIE = 0.03
TITLES = {'gmlpc': 'gmlpc', 'gmlpc-avx2': 'gmlpc, AVX2', 'gmlpc, one thread': 'gmlpc, one thread', 'onnxruntime': 'ONNX Runtime', 'openvino': 'OpenVINO', 'torch': 'PyTorch', 'jax': 'JAX'}


class Row:
    """A candidate's repetitions judged: .counted are those of the statistics, .qualified how many met the rule."""

    def __init__(self, data, row, best_nop, best_fma, strict=True):
        self.engine, self.candidate, self.error, self.first = row['engine'], row['candidate'], row['error'], row['first']
        self.title = TITLES.get(self.engine, self.engine)
        every = row['rows']
        good = [rep for rep in every if not rep[1] and rep[2] >= contest.NOP_SHARE * best_nop and rep[3] >= contest.FMA_SHARE * best_fma[self.lanes()]]
        self.qualified, self.all = len(good), len(every)
        self.disturbed = self.qualified < contest.ENOUGH or not strict
        counted = every if self.disturbed else good
        self.counted = sorted(rep[0] for rep in counted)
        self.median, self.fastest = statistics.median(self.counted), self.counted[0]
        self.low, self.high = self.counted[len(self.counted) // 4], self.counted[len(self.counted) * 3 // 4]
        self.median_of_all = contest.middle(every)
        threads = 1 if self.engine.endswith('one thread') else data['threads']
        self.gflops = 2e-6 * data['macs'] * data['batch'] / self.median
        self.peak = best_fma[self.lanes()] * threads
        self.percent = 100 * self.gflops / self.peak if self.peak else 0
        work = 2e-6 * data['macs'] * data['batch'] / threads
        beside = [100 * work / rep[0] / rep[4] for rep in counted if len(rep) > 4 and rep[4]]
        self.beside = statistics.median(beside) if beside else None  # of the peak just before and after each repetition: clocks move

    def lanes(self):
        return 'narrow' if self.engine == 'gmlpc-avx2' else 'wide'


def best_of(values):
    """Near the best: the 95th percentile, since a clock's jitter can make a single short probe look faster than the machine is."""
    return sorted(values)[int(len(values) * 0.95)] if values else 0


class Piece:
    """One stored file: rows of every candidate, and the best candidate of each engine."""

    def __init__(self, data):
        self.data = data
        rows = [row for row in data['rows'] if row['rows'] and not row['failed']]
        self.nop = best_of([rep[2] for row in rows for rep in row['rows']])
        self.fma = {kind: best_of([rep[3] for row in rows for rep in row['rows'] if (row['engine'] == 'gmlpc-avx2') == (kind == 'narrow')]) for kind in ('wide', 'narrow')}
        self.rows = [Row(data, row, self.nop, self.fma) for row in rows]
        if any(row.disturbed for row in self.rows if row.engine == 'gmlpc'):  # like with like: nobody's good repetitions against all of another's
            self.rows = [Row(data, row, self.nop, self.fma, strict=False) for row in rows]
        self.best = {}
        for engine in dict.fromkeys(row.engine for row in self.rows):
            rows = [row for row in self.rows if row.engine == engine]
            any_disturbed = any(row.disturbed for row in rows)  # like with like here too: all repetitions of every candidate
            self.best[engine] = min(rows, key=lambda row: row.median_of_all if any_disturbed else row.median)
        self.ours = self.best.get('gmlpc')

    def ranking(self):
        return sorted(self.best.values(), key=lambda row: (row.engine != 'gmlpc', not row.engine.startswith('gmlpc'), row.median))

    def ratio(self, row):
        if not self.ours:
            return 0
        return row.median_of_all / self.ours.median_of_all if row.disturbed else row.median / self.ours.median

    def verdict(self, row):
        ratio = self.ratio(row)
        if row.engine.startswith('gmlpc') or not ratio:
            return ''
        return 'tie' if abs(ratio - 1) < TIE else f'{ratio:.2f}x'


def share(value):
    return f'{value:.1f}' if value else ''


def megabytes(value):
    return f'{value / 1e6:.2g}' if value < 1e7 else f'{value / 1e6:.0f}'


def started(data, engine):
    """Median milliseconds from spawn to first answer, and peak memory, of fresh processes."""
    fresh = data.get('fresh', {}).get(engine)
    return (statistics.median(f['start_ms'] for f in fresh), max(f['rss'] for f in fresh)) if fresh else (None, None)


def deployed(data, row):
    """Bytes of code (machine code, or the files that the engine maps) and of the model's files."""
    sizes = data.get('sizes', {}).get(f'{row.engine}, {row.candidate}', {})
    return sizes.get('code', row.first.get('mapped')), sizes.get('model')


def lines(data):
    piece = Piece(data)
    text = [f"{data['title']}, batch {data['batch']}, threads {data['threads']}: peak {piece.fma['wide']:.1f} GFLOP/s a core, {piece.nop:.1f} nops/ns"]
    for row in sorted(piece.rows, key=lambda r: r.median):
        text.append(f"  {'*' if piece.best[row.engine] is row else ' '} {row.title:18} {row.candidate:34} {row.median:9.3f} ms ({row.low:.3f} to {row.high:.3f}; {row.qualified} of {row.all}"
                    f"{' DISTURBED' if row.disturbed else ''}; of all {row.median_of_all:.3f}) {row.percent:5.1f} % ({share(row.beside)} beside) {piece.verdict(row):6} error {row.error:.0e}")
    return '\n'.join(text)


def table(piece):
    data = piece.data
    text = [f"#### {data['title']}, batch {data['batch']}, {data['threads']} thread{'s' if data['threads'] > 1 else ''}", '',
            f"{2e-9 * data['macs'] * data['batch']:.3g} GFLOP of multiply-adds; peak {piece.fma['wide']:.0f} GFLOP/s a core, {piece.nop:.1f} nops/ns; {data['measured']}, revision {data['revision']}", '',
            '| engine | best form | median ms | quartiles | counted | of gmlpc | GFLOP/s | % of peak | % beside | first answer ms | peak MB | code MB | model MB | error |',
            '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |']
    for row in piece.ranking():
        start, memory = started(data, row.engine)
        code, model = deployed(data, row)
        counted = f'{row.all}, disturbed' if row.disturbed else f'{row.qualified} of {row.all}'
        form = '' if row.engine.startswith('gmlpc') else row.candidate
        text.append(f"| {row.title} | {form} | {row.median:.4g} | {row.low:.4g}–{row.high:.4g} | {counted} | {piece.verdict(row)} | {row.gflops:.1f} | {row.percent:.1f} | {share(row.beside)} | "
                    f"{f'{start:.0f}' if start else ''} | {megabytes(memory) if memory else ''} | {megabytes(code) if code else ''} | {megabytes(model) if model else ''} | {row.error:.0e} |")
    return '\n'.join(text) + '\n'


def summary(found):
    """One row a piece: gmlpc and the best peer."""
    text = ['| | batch | threads | gmlpc ms | % of peak | % beside | best peer | ms | % of peak | % beside | peer / gmlpc |', '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |']
    for piece in found:
        peers = [row for row in piece.ranking() if not row.engine.startswith('gmlpc')]
        if piece.ours and peers:
            d, o, p = piece.data, piece.ours, peers[0]
            mark = '*' if o.disturbed or p.disturbed else ''
            text.append(f"| {d['title']} | {d['batch']} | {d['threads']} | {o.median:.4g}{mark} | {o.percent:.1f} | {share(o.beside)} | {p.title}, {p.candidate} | {p.median:.4g} | {p.percent:.1f} | {share(p.beside)} | {piece.verdict(p)} |")
    return '\n'.join(text) + '\n'


def first_run(fresh):
    """What the C program around a model says of itself: milliseconds of its run, megabytes beyond weights and arena."""
    said = re.search(r'run ([0-9.]+) ms;.* \+ ([0-9.-]+) MB$', fresh.get('said', '').strip())
    return (float(said[1]), float(said[2])) if said else None


def deployment(found):
    """Start and memory: one input, one thread."""
    engines = [name for name in TITLES if not name.startswith('gmlpc,') and name != 'gmlpc-avx2' and any(name in piece.data.get('fresh', {}) for piece in found)]
    others = [name for name in engines if name != 'gmlpc']
    text = ['| first answer ms / peak MB | gmlpc | its first run ms | beyond weights and arena MB | code KB | ' + ' | '.join(TITLES[name] for name in others) + ' |',
            '| --- | --- | --- | --- | --- |' + ' --- |' * len(others)]
    for piece in found:
        if (piece.data['batch'], piece.data['threads']) != (1, 1) or not piece.ours or 'gmlpc' not in piece.data.get('fresh', {}):
            continue
        cell = lambda name: '{:.0f} / {}'.format(started(piece.data, name)[0], megabytes(started(piece.data, name)[1])) if name in piece.data['fresh'] else ''
        runs = [first_run(fresh) for fresh in piece.data['fresh']['gmlpc']]
        runs = [statistics.median(values) for values in zip(*runs)] if all(runs) else None
        code = deployed(piece.data, piece.ours)[0]
        text.append(f"| {piece.data['title']} | {cell('gmlpc')} | {f'{runs[0]:.1f}' if runs else ''} | {f'{runs[1]:.1f}' if runs else ''} | {f'{code / 1024:.0f}' if code else ''} | "
                    + ' | '.join(map(cell, others)) + ' |')
    return '\n'.join(text) + '\n\n' if len(text) > 2 else ''


def drawing(found):
    """Percent of peak (time, where an equation has no multiply-adds) of every engine, a group of bars a piece."""
    colours = {'gmlpc': '#c0392b', 'gmlpc-avx2': '#e59866', 'gmlpc, one thread': '#e6b0aa'}
    bar, left, width = 14, 250, 420
    body, y = [], 30
    for piece in found:
        rows = piece.ranking()
        slowest = max(row.median for row in rows)
        body.append(f'<text x="8" y="{y + 11}" font-weight="bold">{piece.data["title"].replace("->", "→")}, batch {piece.data["batch"]}, {piece.data["threads"]} thr.</text>')
        y += 18
        for row in rows:
            share, label = (row.percent / 100, f'{row.percent:.0f} %, {row.median:.3g} ms') if piece.data['macs'] else (row.median / slowest, f'{row.median:.3g} ms')
            body.append(f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{row.title}</text><rect x="{left}" y="{y + 1}" width="{width * min(share, 1):.1f}" height="{bar - 3}" '
                        f'fill="{colours.get(row.engine, "#7f8c8d")}"/><text x="{left + width * min(share, 1) + 5:.1f}" y="{y + 11}">{label}</text>')
            y += bar
        y += 10
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 130}" height="{y}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="8" y="16">percent of the multiply-add peak measured in the same run (longer is better; where there are no multiply-adds: time, shorter is better)</text>' + ''.join(body) + '</svg>\n')


def write(directory):
    """NAME.md, NAME.csv and NAME.svg beside the stored files of a directory, NAME being the directory's."""
    found = []
    for path in sorted(glob.glob(os.path.join(directory, '*.json'))):
        with open(path) as stored:
            found.append(Piece(json.load(stored)))
    found = [piece for piece in found if piece.rows]
    found.sort(key=lambda p: (p.data['batch'], p.data['threads'], not p.data['macs'], p.data['title']))
    name = os.path.join(directory, os.path.basename(os.path.normpath(directory)))
    versions = {title: version for piece in found for title, version in piece.data['versions'].items()}
    notes = sorted({note for piece in found for note in piece.data['notes']})
    with open(f'{name}.md', 'w') as out:
        out.write(f"{found[0].data['machine'] if found else ''}\n\n" + '\n'.join(f'- {TITLES.get(k, k)}: {v}' for k, v in sorted(versions.items())) + '\n\n' + summary(found) + '\n' + deployment(found))
        out.write('\n'.join(table(piece) for piece in found))
        if notes:
            out.write('\nMissing or refused:\n\n' + '\n'.join(f'- {note}' for note in notes) + '\n')
    with open(f'{name}.csv', 'w', newline='') as out:
        sheet = csv.writer(out)
        sheet.writerow('case batch threads engine candidate best median_ms low_ms high_ms fastest_ms median_of_all_ms qualified all gflops peak_gflops percent percent_beside nops_per_ns error first_answer_ms '
                       'peak_bytes code_bytes model_bytes revision measured'.split())
        for piece in found:
            d = piece.data
            for row in piece.rows:
                start, memory = started(d, row.engine) if piece.best[row.engine] is row else (None, None)
                sheet.writerow([d['case'], d['batch'], d['threads'], row.engine, row.candidate, int(piece.best[row.engine] is row)]
                               + [f'{v:.5g}' for v in (row.median, row.low, row.high, row.fastest, row.median_of_all)] + [row.qualified, row.all]
                               + [f'{v:.4g}' if v is not None else '' for v in (row.gflops, row.peak, row.percent, row.beside, piece.nop, row.error)] + [f'{start:.0f}' if start else '', memory or '', *deployed(d, row), d['revision'],
                                                                                                                d['measured']])
    with open(f'{name}.svg', 'w') as out:
        out.write(drawing(found))
    return summary(found)


def publish(directory, name):
    """The tables that write() made, into tests/bench/RESULTS.md and tests/bench/results."""
    made = os.path.join(directory, os.path.basename(os.path.normpath(directory)))
    bench = os.path.dirname(contest.HERE)
    for kind in ('csv', 'svg'):
        shutil.copyfile(f'{made}.{kind}', os.path.join(bench, 'results', f'{name}.{kind}'))
    with open(f'{made}.md') as tables, open(f'{made}.section', 'w') as section:
        section.write(f'![percent of peak](results/{name}.svg)\n\n{tables.read()}')
    subprocess.run([os.path.join(bench, 'section'), name, f'{made}.section'], check=True)
