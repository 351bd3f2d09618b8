"""A second reader of docs/vectors, written from docs/protocol.md alone: standard library only, nothing of ours.

Usage: python3 vectors.py FOLDER. Prints one JSON object with the number of vectors checked, or fails at the first that
does not hold. It is slow (Ed25519 in plain integers) and is no verifier to use.
"""

import hashlib
import json
import sys
from pathlib import Path


class Refused(Exception):
    pass


def need(holds, issue):
    if not holds:
        raise Refused(issue)


def sha256(data):
    return hashlib.sha256(data).digest()


def tagged(tag, *parts):
    """H(tag, parts...): each preceded by its length."""
    pieces = [tag.encode(), *parts]
    return sha256(b"".join(len(piece).to_bytes(4, "big") + piece for piece in pieces))


# ---- strict dag-cbor


def decode(data):
    value, end = read(data, 0, 0)
    need(end == len(data), "bytes after the value")
    return value


def read(data, at, depth):
    need(at < len(data) and depth < 64, "cut or too deep")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        need(info in (20, 21, 22), "a float or an unknown simple value")
        return {20: False, 21: True, 22: None}[info], at
    need(info <= 27, "an indefinite length")
    if info < 24:
        number = info
    else:
        size = 1 << (info - 24)
        need(at + size <= len(data), "cut")
        number = int.from_bytes(data[at : at + size], "big")
        at += size
        need(number >= (24 if size == 1 else 1 << (size * 4)), "not the shortest form")
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        need(at + number <= len(data), "cut")
        piece = data[at : at + number]
        return (piece if major == 2 else piece.decode("utf-8")), at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = read(data, at, depth + 1)
            items.append(item)
        return items, at
    need(major == 5, "a tag")
    entries, before = {}, None
    for _ in range(number):
        name, at = read(data, at, depth + 1)
        need(isinstance(name, str), "a key that is no text")
        order = (len(name.encode()), name.encode())
        need(before is None or before < order, "keys out of order")
        before = order
        entries[name], at = read(data, at, depth + 1)
    return entries, at


def encode(value):
    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
        return bytes([major << 5 | 23 + size.bit_length()]) + number.to_bytes(size, "big")

    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
    return head(5, len(value)) + b"".join(encode(name) + encode(value[name]) for name in names)


# ---- Ed25519 (RFC 8032) under the one rule: byte pre-check, then cofactorless

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(data):
    """The point in 32 bytes; None where it is not canonical, not on the curve or of small order."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = recover(y, sign)
    if x is None:
        return None
    point = (x, y, 1, x * y % P)
    return None if equal(times(8, point), (0, 1, 1, 0)) else point


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover(BASE_Y, 0), BASE_Y, 1, recover(BASE_Y, 0) * BASE_Y % P)


def verifies(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r, s = point_of(key), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return equal(times(s, BASE), add(r, times(challenge, a)))


# ---- trees

EMPTY = bytes(32)


def bit(key, at):
    return key[at // 8] >> 7 - at % 8 & 1


def state_key(table, key):
    return tagged("pekka/state-key/v1", table.encode(), key.encode())


def leaf_of(key, value):
    return tagged("pekka/state-leaf/v1", key, value)


def state_root(rows, depth=0):
    """rows: {key: digest of the row}."""
    if not rows:
        return EMPTY
    if len(rows) == 1:
        return leaf_of(*next(iter(rows.items())))
    sides = [{key: value for key, value in rows.items() if bit(key, depth) == side} for side in (0, 1)]
    return sha256(state_root(sides[0], depth + 1) + state_root(sides[1], depth + 1))


def transaction_leaf(ordered):
    index, position = ordered["index"].to_bytes(8, "big"), ordered["position"].to_bytes(4, "big")
    code = (ordered["code"] or "").encode()
    return tagged("pekka/transaction-leaf/v1", index, position, ordered["id"], code)


def transactions_root(leaves):
    if not leaves:
        return EMPTY
    while len(leaves) > 1:
        pairs = [sha256(leaves[at] + leaves[at + 1]) for at in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0]


def climb_state(key, value, path):
    depth, marks, rest, other = path["depth"], path["empty"], path["siblings"], path["other"]
    need(depth <= 256 and len(marks) == (depth + 7) // 8, "marks of another length")
    need(not any(bit(marks, at) for at in range(depth, len(marks) * 8)), "a mark below the path")
    need(depth == 0 or not bit(marks, depth - 1), "longer than the tree")
    siblings = []
    for at in range(depth):
        if bit(marks, at):
            siblings.append(EMPTY)
        else:
            need(len(rest) >= 32 and rest[:32] != EMPTY, "too few siblings, or an empty one")
            siblings.append(rest[:32])
            rest = rest[32:]
    need(not rest, "too many siblings")
    if value is not None:
        need(other is None, "another row")
        current = leaf_of(key, value)
    elif other is None:
        current = EMPTY
    else:
        need(other["key"] != key, "the row itself")
        need(all(bit(other["key"], at) == bit(key, at) for at in range(depth)), "elsewhere")
        current = leaf_of(other["key"], other["value"])
    for at in reversed(range(depth)):
        current = sha256(siblings[at] + current if bit(key, at) else current + siblings[at])
    return current


def climb_transactions(leaf, count, path):
    at, last, rest = path["leaf"], count - 1, path["siblings"]
    need(at < count, "beyond the last")
    while last > 0:
        if at != last or at % 2:
            need(len(rest) >= 32, "too few siblings")
            leaf = sha256(rest[:32] + leaf if at % 2 else leaf + rest[:32])
            rest = rest[32:]
        at, last = at // 2, last // 2
    need(not rest, "too many siblings")
    return leaf


# ---- checkpoints and proofs


def committee_digest(network, epoch, members):
    return tagged("pekka/committee/v1", network, epoch.to_bytes(8, "big"), encode(members))


def checkpoint_message(checkpoint):
    return tagged("pekka/checkpoint/v1", checkpoint["network"], sha256(encode(checkpoint)))


def check_certificate(certificate, network, epoch, members):
    checkpoint, marks, signatures = (certificate[name] for name in ("checkpoint", "signers", "signatures"))
    need(checkpoint["network"] == network and checkpoint["epoch"] == epoch, "another network or epoch")
    need(checkpoint["committee"] == committee_digest(network, epoch, members), "another committee")
    need(len({key for key, _ in members}) == len(members), "a witness twice")
    need(len(marks) == (len(members) + 7) // 8, "marks of another length")
    need(not any(bit(marks, at) for at in range(len(members), len(marks) * 8)), "a signer outside")
    signers = [member for at, member in enumerate(members) if bit(marks, at)]
    total = sum(stake for _, stake in members)
    need(sum(stake for _, stake in signers) >= total - (total - 1) // 3, "no quorum")
    need(len(signatures) == 64 * len(signers), "another number of signatures")
    message = checkpoint_message(checkpoint)
    for at, (key, _) in enumerate(signers):
        need(verifies(key, message, signatures[64 * at : 64 * at + 64]), "a signature")
    return checkpoint


def check_proof(data, trust):
    """The facts that a proof shows to whoever trusts (network, epoch, members)."""
    proof = decode(data)
    need(proof["v"] == 1, "another version")
    network, epoch, members = trust
    index = -1
    for step in proof["steps"]:
        checkpoint = check_certificate(step["certificate"], network, epoch, members)
        need(checkpoint["index"] > index, "backwards")
        index, epoch, members = checkpoint["index"], epoch + 1, step["next"]
        need(checkpoint["nextCommittee"] == committee_digest(network, epoch, members), "another next committee")
    checkpoint = check_certificate(proof["certificate"], network, epoch, members)
    need(checkpoint["index"] > index, "backwards")
    facts = []
    for claim in proof["claims"]:
        if claim["kind"] == "transaction":
            ordered = claim["ordered"]
            root = climb_transactions(transaction_leaf(ordered), checkpoint["transactions"], claim["path"])
            need(root == checkpoint["transactionsRoot"], "not under the checkpoint")
            facts.append({**ordered, "id": ordered["id"].hex()})
        else:
            row = claim["row"]
            value = None if row is None else sha256(row)
            root = climb_state(state_key(claim["table"], claim["key"]), value, claim["path"])
            need(root == checkpoint["stateRoot"], "not under the checkpoint")
            facts.append({"table": claim["table"], "key": claim["key"], "row": row.hex() if row else None})
    return facts


# ---- the files


def check_signatures(vectors):
    for vector in vectors["vectors"]:
        parts = (bytes.fromhex(vector[name]) for name in ("publicKey", "message", "signature"))
        assert verifies(*parts) is vector["valid"], vector["name"]
    return len(vectors["vectors"])


def opens(data, network):
    """Whether a signed transaction is canonical, every signature holds and no key signs twice."""
    try:
        signed = decode(data)
        message = tagged("pekka/tx/v1", network, sha256(encode(signed["transaction"])))
        signatures = signed["signatures"]
        distinct = len({one["key"] for one in signatures}) == len(signatures)
        return distinct and all(verifies(one["key"], message, one["signature"]) for one in signatures)
    except (Refused, UnicodeDecodeError):
        return False


def check_transactions(vectors):
    network = sha256(bytes.fromhex(vectors["genesis"]["canonical"]))
    for vector in vectors["objects"]:
        parts = (bytes.fromhex(vector[name]) for name in ("account", "nonce"))
        assert tagged("pekka/object/v1", *parts).hex() == vector["id"]
    for vector in vectors["transactions"]:
        canonical = bytes.fromhex(vector["canonical"])
        assert encode(decode(canonical)) == canonical, vector["name"]
        assert sha256(canonical).hex() == vector["id"], vector["name"]
        assert opens(bytes.fromhex(vector["signed"]), network), vector["name"]
    checked = len(vectors["transactions"])
    for vector in vectors["refused"]:
        if vector["code"] in ("ENCODING_NOT_CANONICAL", "SIGNATURE_INVALID"):
            assert not opens(bytes.fromhex(vector["bytes"]), network), vector["name"]
            checked += 1
    head = network
    for commit in vectors["commits"]:
        header = {name: value if isinstance(value, int) else bytes.fromhex(value) for name, value in commit["header"].items()}
        assert header["previous"] == head
        outcomes = ["" if outcome == "applied" else outcome for outcome in commit["outcomes"]]
        parts = [part for id, code in zip(commit["ids"], outcomes) for part in (bytes.fromhex(id), code.encode())]
        assert header["transactionsHash"] == tagged("pekka/ordered/v1", *parts)
        head = tagged("pekka/block/v1", network, encode(header))
        assert head.hex() == commit["hash"]
    return checked + len(vectors["commits"])


def check_proofs(vectors):
    trust = vectors["trust"]
    members = [[bytes.fromhex(key), int(stake)] for key, stake in trust["members"]]
    trusted = (bytes.fromhex(trust["network"]), trust["epoch"], members)
    for vector in vectors["stateTrees"]:
        rows = {state_key(row["table"], row["key"]): sha256(bytes.fromhex(row["row"])) for row in vector["rows"]}
        assert state_root(rows).hex() == vector["root"]
    for vector in vectors["transactionTrees"]:
        leaves = [transaction_leaf({**ordered, "id": bytes.fromhex(ordered["id"])}) for ordered in vector["ordered"]]
        assert transactions_root(leaves).hex() == vector["root"]
    for vector in vectors["checkpoints"]:
        checkpoint = decode(bytes.fromhex(vector["canonical"]))
        assert sha256(encode(checkpoint)).hex() == vector["digest"]
        assert checkpoint_message(checkpoint).hex() == vector["message"]
    for vector in vectors["proofs"]:
        assert check_proof(bytes.fromhex(vector["proof"]), trusted) == vector["facts"], vector["name"]
    for vector in vectors["refused"]:
        try:
            check_proof(bytes.fromhex(vector["proof"]), trusted)
        except Refused:
            continue
        raise AssertionError(vector["name"])
    return sum(len(vectors[name]) for name in ("stateTrees", "transactionTrees", "checkpoints", "proofs", "refused"))


def check_blocks(vectors):
    network, epoch = bytes.fromhex(vectors["network"]), vectors["epoch"]
    members = vectors["members"]
    known = {}
    for author, id in enumerate(vectors["genesis"]):
        place = (epoch.to_bytes(8, "big"), network, author.to_bytes(4, "big"))
        assert tagged("pekka/epoch-genesis/v1", network, *place).hex() == id
        known[id] = (author, 0)
    reveals = [bytes.fromhex(member["tip"]) for member in members]
    stake = sum(int(member["stake"]) for member in members)
    quorum = stake - (stake - 1) // 3
    for vector in vectors["blocks"]:
        signed = decode(bytes.fromhex(vector["bytes"]))
        block, id = signed["block"], sha256(encode(signed["block"]))
        author, round = block["author"], block["round"]
        assert (author, round, id.hex()) == (vector["author"], vector["round"], vector["id"])
        message = tagged("pekka/witness-block/v1", network, id)
        assert message.hex() == vector["message"]
        assert verifies(bytes.fromhex(members[author]["key"]), message, signed["signature"])
        parents = [(parent["author"], parent["round"]) for parent in block["parents"]]
        assert [known[parent["id"].hex()] for parent in block["parents"]] == parents
        assert parents[0] == (author, round - 1) and all(before == round - 1 for _, before in parents)
        assert sum(int(members[parent]["stake"]) for parent, _ in set(parents)) >= quorum
        assert sha256(block["reveal"]) == reveals[author]
        reveals[author] = block["reveal"]
        known[id.hex()] = (author, round)
    previous, randomness = network, network
    for commit in vectors["commits"]:
        core = decode(bytes.fromhex(commit["core"]))
        previous = tagged("pekka/commit/v1", previous, encode(core))
        assert previous.hex() == commit["digest"]
        leader = next(vector for vector in vectors["blocks"] if vector["id"] == core["leader"]["id"].hex())
        reveal = decode(bytes.fromhex(leader["bytes"]))["block"]["reveal"]
        randomness = tagged("pekka/randomness/v1", randomness, reveal)
        assert core["randomness"] == randomness
        vote, draw = commit["vote"], commit["draw"]
        assert tagged("pekka/commit-vote/v1", previous, bytes.fromhex(vote["state"])).hex() == vote["digest"]
        drawn = tagged("pekka/draw/v1", randomness, bytes.fromhex(draw["task"]), bytes([draw["attempt"]]))
        assert drawn.hex() == draw["value"]
    for vector in vectors["refused"]:
        try:
            signed = decode(bytes.fromhex(vector["bytes"]))
            block = signed["block"]
            need(block["round"] >= 1 and len(block["parents"]) >= 1 and len(block["reveal"]) == 32, "shape")
        except Refused:
            continue
        raise AssertionError(vector["name"])
    batch = vectors["batch"]
    data = bytes.fromhex(batch["bytes"])
    assert batch["topic"] == "/pekka/transactions/1/" + vectors["network"] and sha256(data).hex() == batch["id"]
    assert decode(data) == {"v": 1, "transactions": [bytes.fromhex(one) for one in batch["transactions"]]}
    return len(vectors["blocks"])


def check_equivocation(data, network):
    evidence = decode(data)
    need(isinstance(evidence, dict) and set(evidence) == {"v", "key", "blocks"} and evidence["v"] == 1, "shape")
    need(len(evidence["blocks"]) == 2, "two blocks")
    places, ids = [], []
    for bytes_ in evidence["blocks"]:
        signed = decode(bytes_)
        block, id = signed["block"], sha256(encode(signed["block"]))
        need(block["network"] == network, "network")
        need(verifies(evidence["key"], tagged("pekka/witness-block/v1", network, id), signed["signature"]), "signature")
        places.append((block["epoch"], block["author"], block["round"]))
        ids.append(id)
    need(places[0] == places[1], "two places")
    need(ids[0] < ids[1], "two blocks in order")
    return evidence["key"], places[0][0], places[0][2], ids


def check_evidence(vectors):
    network, vector = bytes.fromhex(vectors["network"]), vectors["evidence"]
    key, epoch, round, ids = check_equivocation(bytes.fromhex(vector["bytes"]), network)
    assert (key.hex(), epoch, round) == (vector["key"], vector["epoch"], vector["round"])
    assert [id.hex() for id in ids] == vector["blocks"]
    for refused in vectors["refused"]:
        try:
            check_equivocation(bytes.fromhex(refused["bytes"]), network)
        except Refused:
            continue
        raise AssertionError(refused["name"])
    return 1 + len(vectors["refused"])


def main(folder):
    checks = {"signatures": check_signatures, "transactions": check_transactions, "proofs": check_proofs, "blocks": check_blocks, "evidence": check_evidence}
    counts = {name: check(json.loads((Path(folder) / f"{name}.json").read_text())) for name, check in checks.items()}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
