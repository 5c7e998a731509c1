# Independent re-implementation of the row order: SplitMix64, FNV-1a, Lemire, Fisher-Yates.
M = (1 << 64) - 1
def mix(z):
    z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & M
    z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & M
    return z ^ (z >> 31)
class Stream:
    def __init__(s, seed, purpose, index=0):
        h = 0xcbf29ce484222325
        for b in purpose.encode(): h = ((h ^ b) * 0x100000001b3) & M
        s.state = mix((mix(mix(seed) ^ h) + index) & M)
    def next(s):
        s.state = (s.state + 0x9e3779b97f4a7c15) & M
        return mix(s.state)
    def below(s, n):
        while True:
            p = s.next() * n
            if (p & M) >= (M + 1 - n) % n: return p >> 64
def permutation(n, seed, epoch):
    r, a = Stream(seed, "order", epoch), list(range(n))
    for i in range(n - 1, 0, -1):
        j = r.below(i + 1); a[i], a[j] = a[j], a[i]
    return a
if __name__ == "__main__":
    s = Stream(42, "order", 3); print([s.next() for _ in range(4)])
    for seed, epoch in [(0, 0), (0, 1), (17, 0), (M, 5)]: print(seed, epoch, permutation(10, seed, epoch))
    # The published SplitMix64 vector for state 1234567 begins 6457827717110365317, 3203168211198807973.
    s.state = 1234567; print(s.next(), s.next())
