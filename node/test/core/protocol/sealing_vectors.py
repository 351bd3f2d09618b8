"""A second reader of docs/vectors/primitives.json and sealing.json: standard library and vectors.py beside it, nothing of ours.

Usage: python3 sealing_vectors.py FOLDER. As vectors.py it is slow, leaks what it computes through its timing, and is no code to use.
"""

import hashlib
import hmac
import importlib.util
import json
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("vectors", Path(__file__).with_name("vectors.py"))
vectors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vectors)
tagged, verifies, sha256 = vectors.tagged, vectors.verifies, vectors.sha256


def hkdf(secret, info):
    """HKDF-SHA-256 (RFC 5869) with an empty salt, 32 bytes."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def info(tag, *parts):
    return b"".join(len(piece).to_bytes(4, "big") + piece for piece in (tag.encode(), *parts))


# ---- X25519 (RFC 7748)

P = 2**255 - 19


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    x1 = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for at in reversed(range(255)):
        bit = k >> at & 1
        if swapped != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")


# ---- AES-256-GCM (FIPS 197, SP 800-38D)


def double(byte):
    return byte << 1 ^ (0x11B if byte & 0x80 else 0)


def make_box():
    """The S-box: inverses in GF(2^8), by powers of the generator 3, and then the affine map."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= double(value)
    logs = {value: at for at, value in enumerate(powers)}
    box = []
    for byte in range(256):
        inverse = 0 if byte == 0 else powers[-logs[byte] % 255]
        turned = inverse
        for _ in range(4):
            inverse = inverse << 1 & 255 | inverse >> 7
            turned ^= inverse
        box.append(turned ^ 0x63)
    return box


BOX = make_box()


def round_keys(key):
    words, constant = [key[at : at + 4] for at in range(0, 32, 4)], 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(BOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = double(constant)
        elif len(words) % 8 == 4:
            word = bytes(BOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(word, words[-8])))
    return [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]


def encrypt_block(keys, block):
    state = bytes(a ^ b for a, b in zip(block, keys[0]))
    for number, key in enumerate(keys[1:], 1):
        state = [BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
        if number < len(keys) - 1:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                every = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[at] ^ every ^ double(a[at] ^ a[(at + 1) % 4]) for at in range(4)]
            state = mixed
        state = bytes(a ^ b for a, b in zip(state, key))
    return bytes(state)


def ghash(h, data):
    h, y = int.from_bytes(h, "big"), 0
    for at in range(0, len(data), 16):
        x, v, y = y ^ int.from_bytes(data[at : at + 16], "big"), h, 0
        for bit in reversed(range(128)):
            if x >> bit & 1:
                y ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return y.to_bytes(16, "big")


def seal(key, nonce, plaintext, associated=b""):
    keys = round_keys(key)

    def pad(data):
        return data + bytes(-len(data) % 16)

    def keystream(counter):
        return encrypt_block(keys, nonce + counter.to_bytes(4, "big"))

    blocks = (plaintext[at : at + 16] for at in range(0, len(plaintext), 16))
    sealed = b"".join(bytes(a ^ b for a, b in zip(block, keystream(at))) for at, block in enumerate(blocks, 2))
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    tag = ghash(encrypt_block(keys, bytes(16)), pad(associated) + pad(sealed) + lengths)
    return sealed + bytes(a ^ b for a, b in zip(tag, keystream(1)))


ZERO = bytes(12)


# ---- the files


def unhex(vector):
    return {name: bytes.fromhex(value) if name != "name" else value for name, value in vector.items()}


def check_primitives(file):
    for vector in map(unhex, file["aead"]):
        made = seal(vector["key"], vector["nonce"], vector["plaintext"], vector["associated"])
        assert made == vector["sealed"], vector["name"]
    for vector in map(unhex, file["x25519"]["agree"]):
        assert x25519(vector["privateKey"], vector["publicKey"]) == vector["shared"], vector["name"]
    for vector in map(unhex, file["x25519"]["publicKey"]):
        assert x25519(vector["privateKey"], BASE) == vector["publicKey"], vector["name"]
    for point in file["x25519"]["refused"]:
        # Points of small order: the secret would be the same for every key.
        assert x25519(bytes([1] * 32), bytes.fromhex(point)) == bytes(32), point
    for vector in map(unhex, file["ed25519"]["valid"]):
        assert verifies(vector["publicKey"], vector["message"], vector["signature"]), vector["name"]
    for vector in map(unhex, file["ed25519"]["refused"]):
        assert not verifies(vector["publicKey"], vector["message"], vector["signature"]), vector["name"]
    for vector in map(unhex, file["hkdf"]):
        assert hkdf(vector["secret"], vector["info"]) == vector["key"], vector["name"]
    return len(file["aead"]) + sum(map(len, file["x25519"].values())) + sum(map(len, file["ed25519"].values())) + 1


def number(value, size):
    return value.to_bytes(size, "big")


def padme(length):
    """The next length of which only the first bits are set; at least 256."""
    if length <= 256:
        return 256
    exponent = length.bit_length() - 1
    low = (1 << exponent - exponent.bit_length()) - 1
    return length + low & ~low


def check_sealing(file):
    inputs = unhex(file["inputs"])
    keys = unhex(file["keys"])
    network, task, task_key = inputs["network"], keys["task"], keys["taskKey"]
    assert task == tagged("pekka/object/v1", inputs["account"], inputs["nonce"])
    view = {label: hkdf(inputs["viewKey"], info("pekka/view/v1", label.encode(), task)) for label in ("bundle", "read", "note")}
    assert (view["bundle"], view["read"], view["note"]) == (task_key, keys["readPrivate"], keys["noteKey"])
    assert x25519(view["read"], BASE) == keys["readPublic"]
    assert tagged("pekka/key-commit/v1", task, task_key) == keys["keyCommit"]

    bundle = {name: bytes.fromhex(file["bundle"][name]) for name in ("encoded", "sealed")}
    associated = tagged("pekka/bundle/v1", network, task)
    assert seal(hkdf(task_key, info("pekka/bundle/v1")), ZERO, bundle["encoded"], associated) == bundle["sealed"]

    ephemeral = x25519(inputs["ephemeralPrivate"], BASE)
    kem = x25519(inputs["kemPrivate"], BASE)
    assert kem.hex() == file["box"]["kemPublic"]
    bound = info("pekka/box/v1", network, task, inputs["provider"], inputs["ask"], ephemeral)
    boxed = seal(hkdf(x25519(inputs["ephemeralPrivate"], kem), bound), ZERO, task_key, bound)
    assert (ephemeral + boxed).hex() == file["box"]["box"]

    run = file["run"]
    place = (network, task, number(run["attempt"], 4), number(run["run"], 4))
    run_key, agent = bytes.fromhex(run["runKey"]), bytes.fromhex(run["agentKey"])
    assert x25519(inputs["runPrivate"], BASE) == run_key
    head = tagged("pekka/run/v1", *place, inputs["provider"], run_key, number(run["startedAt"], 8), agent)
    assert head.hex() == file["chain"]["head0"]
    assert verifies(agent, head, bytes.fromhex(run["signature"]))
    shared = x25519(inputs["runPrivate"], keys["readPublic"])
    assert hkdf(shared, info("pekka/frames/v1", *place, b"out")) == keys["frameKey"]
    assert hkdf(shared, info("pekka/blob/v1", *place, b"out", number(0, 4))) == keys["blobKey0"]

    frame = {name: bytes.fromhex(file["frame"][name]) for name in ("plaintext", "sealed")}
    index = number(file["frame"]["index"], 8)
    associated = tagged("pekka/frame-aad/v1", *place, index)
    assert seal(keys["frameKey"], bytes(4) + index, frame["plaintext"], associated) == frame["sealed"]
    head1 = tagged("pekka/frame/v1", head, index, sha256(frame["sealed"]))
    assert head1.hex() == file["chain"]["head1"]
    said = tagged("pekka/head/v1", *place, number(1, 8), head1)
    assert verifies(agent, said, bytes.fromhex(file["chain"]["signedHead"]))

    previous = b""
    for cell in file["session"]:
        sealed, encoded = bytes.fromhex(cell["sealed"]), bytes.fromhex(cell["encoded"])
        here = (*place, number(cell["index"], 8), previous)
        bound = info("pekka/session-cell-seal/v1", *here, sealed[:32])
        assert seal(hkdf(x25519(inputs["runPrivate"], sealed[:32]), bound), ZERO, encoded, bound) == sealed[32:]
        previous = tagged("pekka/session-cell/v1", *here, sha256(sealed))
        assert previous.hex() == cell["head"]

    result = {name: bytes.fromhex(file["result"][name]) for name in ("D", "runHash", "c")}
    attempt = number(run["attempt"], 4)
    parts = (network, task, attempt, inputs["provider"], result["D"], result["runHash"], inputs["blind"])
    assert tagged("pekka/commitment/v1", *parts) == result["c"]
    for length, padded in file["padme"]:
        assert padme(length) == padded, length
    return 13 + len(file["session"]) + len(file["padme"])


def main(folder):
    checks = {"primitives": check_primitives, "sealing": check_sealing}
    counts = {name: check(json.loads((Path(folder) / f"{name}.json").read_text())) for name, check in checks.items()}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
