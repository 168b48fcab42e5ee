"""same_code ALL.o ONE.o ENDING: of two object files of one model, how many functions of the second have the same instructions in the first, addresses aside;
ENDING: of the names of those that count (a target's kernels end in its name: `_avx512`). Prints "SAME of COUNT"."""
import re
import subprocess
import sys


def functions(path):
    found, body = {}, []
    for line in subprocess.run(['objdump', '-d', '--no-show-raw-insn', path], capture_output=True, text=True, check=True).stdout.splitlines():
        head = re.match(r'^[0-9a-f]+ <(.*)>:$', line)
        if head:
            body = found.setdefault(head[1], [])
        elif '\t' in line:
            code = re.sub(r'\b[0-9a-f]+ <[^>]*>', 'there', line.split('\t', 1)[1])
            body.append(re.sub(r'\s+#.*', '', re.sub(r'0x[0-9a-f]+\(%rip\)', 'there(%rip)', code)).strip())
    return found


def main():
    whole, one, ending = functions(sys.argv[1]), functions(sys.argv[2]), sys.argv[3]
    kernels = [name for name in one if name.endswith(ending)]
    print(f'{sum(whole.get(name) == one[name] for name in kernels)} of {len(kernels)}')


if __name__ == '__main__':
    main()
