"""The protocol once more, written from PROTOCOL.md and from other libraries, to keep the vectors honest.

Reads every vector of a directory, computes what it expects from what it gives, and compares.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import struct
import sys
import unicodedata
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from spake2 import SPAKE2_A, SPAKE2_B
from spake2.ed25519_basic import L as GROUP_ORDER
from spake2.parameters.ed25519 import ParamsEd25519


class Refused(Exception):
    """What a peer sent is not what it had to send."""


# §2


def u16(number):
    return struct.pack(">H", number)


def u32(number):
    return struct.pack(">I", number)


def u64(number):
    return struct.pack(">Q", number)


def lp(part):
    return u32(len(part)) + part


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def extract(salt, ikm):
    return mac(salt or bytes(32), ikm)


def expand(prk, *info):
    return mac(prk, *info, b"\x01")


def nonce(counter):
    return bytes(4) + u64(counter)


def seal(key, counter, aad, plaintext):
    return ChaCha20Poly1305(key).encrypt(nonce(counter), plaintext, aad)


def unseal(key, counter, aad, sealed):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(counter), sealed, aad)
    except (InvalidTag, ValueError) as error:
        raise Refused from error


class Drawn:
    """What a seed expands to (appendix A): the key stream of ChaCha20 with nonce 0, from block 0 on."""

    def __init__(self, seed):
        self.stream = Cipher(algorithms.ChaCha20(seed, bytes(16)), None).encryptor()

    def __call__(self, count):
        return self.stream.update(bytes(count))

    def scalar(self):
        return int.from_bytes(self(64), "little") % GROUP_ORDER


# §3


def slot_of_link(password):
    return expand(extract(b"", password), b"send/1 link slot")[:16]


WORDS = (Path(__file__).resolve().parents[2] / "crates/wire/src/wordlist.txt").read_text().split()
SEPARATORS = "-_.\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d"


def parse_code(text):
    clean = ""
    for character in text.strip():
        if character in SEPARATORS or character.isspace():
            clean += "" if clean.endswith("-") else "-"
        elif "\uff10" <= character <= "\uff19":
            clean += chr(ord(character) - 0xFF10 + ord("0"))
        elif character.isascii() and character.isalnum():
            clean += character.lower()
        else:
            raise Refused("not a code")
    clean = clean.strip("-")
    if not clean:
        raise Refused("empty")
    nameplate, dash, secret = clean.partition("-")
    if not dash:
        if not clean.isdigit():
            raise Refused("not a code")
        if len(clean) < 6:
            raise Refused("password too short")
        if len(clean) > 6:
            raise Refused("needs a dash")
        nameplate, secret = clean[:2], clean[2:]
    secret = parse_password(secret)
    if not re.fullmatch("[1-9][0-9]{1,5}", nameplate):
        raise Refused("nameplate")
    return f"{nameplate}-{secret}"


def parse_password(secret):
    digits = secret.replace("-", "")
    if digits.isdigit():
        count, fewest, most, secret = len(digits), 4, 12, digits
    else:
        words = secret.split("-")
        if any(word not in WORDS for word in words):
            raise Refused("unknown word")
        count, fewest, most = len(words), 2, 8
    if count < fewest:
        raise Refused("password too short")
    if count > most:
        raise Refused("password too long")
    return secret


# §5


class End:
    """What one side knows before the first message."""

    def __init__(self, given):
        ((self.mode, password),) = given["password"].items()
        password = password.encode() if self.mode == "typed" else bytes.fromhex(password)
        ((kind, place),) = given["at"].items()
        place = str(place).encode() if kind == "nameplate" else bytes.fromhex(place)
        mode = lp(self.mode.encode())
        self.w = lp(b"send/1 pw") + mode + lp(password)
        self.id_s = b"send/1 S" + mode + lp(place)
        self.id_r = b"send/1 R" + mode + lp(place)
        draw = Drawn(bytes.fromhex(given["seed"]))
        self.hello_nonce, self.verifier_nonce, self.scalar = draw(16), draw(32), draw.scalar()

    def start(self, side):
        """The PAKE with the drawn scalar instead of one of the library's own."""
        drawn = dict(params=ParamsEd25519, entropy_f=lambda count: self.scalar.to_bytes(count, "big"))
        pake = side(self.w, self.id_s, self.id_r, **drawn)
        return pake, pake.start()

    def hello(self, commitment=b""):
        mode = {"typed": 1, "link": 2}[self.mode]
        lists = bytes([1]) + u16(1) + bytes([1]) + u16(1)
        return lists + u32(0) + bytes([mode]) + self.hello_nonce + commitment


def opening(kind, hello, pake):
    return bytes([kind]) + u16(len(hello)) + hello + pake


def split_opening(kind, body, committed, mode):
    if len(body) < 3 or body[0] != kind:
        raise Refused("malformed")
    length = int.from_bytes(body[1:3], "big")
    hello, pake = body[3 : 3 + length], body[3 + length :]
    if len(hello) != length or len(pake) != 33 or length > 512:
        raise Refused("malformed")
    commitment = check_hello(hello, committed, mode)
    return hello, pake, commitment


def check_hello(hello, committed, mode):
    at = 0
    for _ in range(2):
        if at >= len(hello):
            raise Refused("malformed")
        at += 1 + 2 * hello[at]
    rest = hello[at:]
    if len(rest) < 4 + 1 + 16 + 32 * committed or rest[4] not in (1, 2):
        raise Refused("malformed")
    if rest[4] != {"typed": 1, "link": 2}[mode]:
        raise Refused("mode")
    return rest[21:53]


P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def check_point(data):
    """RFC 8032 §5.1.3, and membership of the prime-order subgroup, in plain arithmetic."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        raise Refused("pake message")
    x_squared = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    if x * x % P != x_squared:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != x_squared or (x == 0 and sign):
        raise Refused("pake message")
    if x % 2 != sign:
        x = P - x
    point = (x, y)
    if point == (0, 1) or multiply(point, GROUP_ORDER) != (0, 1):
        raise Refused("pake message")


def add(one, other):
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P
    return x, y


def multiply(point, factor):
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def finish(pake, marker, message):
    if message[:1] != marker:
        raise Refused("pake message")
    check_point(message[1:])
    return pake.finish(message)


class Schedule:
    """§5.3 and §5.4."""

    def __init__(self, end, hello_r, pb, hello_s, pa, shared):
        parts = [end.id_s, end.id_r, hello_r, pb, hello_s, pa]
        self.th = sha256(b"send/1 th" + b"".join(map(lp, parts)))
        self.prk = extract(self.th, shared)

    def mac_r(self, nonce_r):
        return mac(expand(self.prk, b"send/1 confirm R"), self.th, nonce_r)

    def mac_s(self, nonce_r, nonce_s):
        return mac(expand(self.prk, b"send/1 confirm S"), self.th, nonce_r, nonce_s)

    def secret(self):
        return expand(self.prk, b"send/1 session")

    def signal_keys(self):
        return directions(self.prk, b"send/1 signal ")

    def verifier(self, nonce_s, nonce_r):
        bits = int.from_bytes(expand(self.prk, b"send/1 sas", nonce_s, nonce_r)[:5], "big")
        return [WORDS[bits >> shift & 1023] for shift in (30, 20, 10, 0)]


def directions(root, label, *context):
    return {"sender": expand(root, label, b"s2r", *context), "receiver": expand(root, label, b"r2s", *context)}


def resume_slot(secret):
    return expand(secret, b"send/1 resume slot")[:16]


class Handshake:
    """A whole handshake, with what happens to its bodies on the way."""

    def __init__(self, given):
        self.tamper = given.get("tamper", [])
        self.sent = {}
        self.refused = None
        self.schedule = None
        try:
            self.run(End(given["sender"]), End(given["receiver"]))
        except Refused as refusal:
            self.refused = {"by": self.turn, "because": str(refusal)}

    def carry(self, name, body, to):
        self.sent[name] = body
        self.turn = to
        for tamper in self.tamper:
            if tamper["body"] == name:
                body = self.sent[tamper["instead"]] if "instead" in tamper else body
                body = splice(body, tamper.get("splice"))
        return body

    def run(self, s, r):
        # 01
        pake_r, pb = r.start(SPAKE2_B)
        hello_r = r.hello()
        body = self.carry("hello_r", opening(1, hello_r, pb), "sender")
        # 02
        got_hello_r, got_pb, _ = split_opening(1, body, False, s.mode)
        pake_s, pa = s.start(SPAKE2_A)
        hello_s = s.hello(sha256(s.verifier_nonce))
        at_s = Schedule(s, got_hello_r, got_pb, hello_s, pa, finish(pake_s, b"B", got_pb))
        body = self.carry("hello_s", opening(2, hello_s, pa), "receiver")
        # 03
        got_hello_s, got_pa, commitment = split_opening(2, body, True, r.mode)
        at_r = Schedule(r, hello_r, pb, got_hello_s, got_pa, finish(pake_r, b"A", got_pa))
        proof = b"\x03" + at_r.mac_r(r.verifier_nonce) + r.verifier_nonce
        body = self.carry("confirm_r", proof, "sender")
        # 04
        got_mac, nonce_r = split_proof(3, body)
        if not hmac.compare_digest(got_mac, at_s.mac_r(nonce_r)):
            raise Refused("mac")
        proof = b"\x04" + at_s.mac_s(nonce_r, s.verifier_nonce) + s.verifier_nonce
        body = self.carry("confirm_s", proof, "receiver")
        got_mac, nonce_s = split_proof(4, body)
        if not hmac.compare_digest(got_mac, at_r.mac_s(r.verifier_nonce, nonce_s)):
            raise Refused("mac")
        if sha256(nonce_s) != commitment:
            raise Refused("commitment")
        if at_s.prk != at_r.prk:
            raise AssertionError("both were content with different keys")
        self.schedule, self.nonce_s, self.nonce_r = at_r, nonce_s, r.verifier_nonce


def split_proof(kind, body):
    if len(body) != 65 or body[0] != kind:
        raise Refused("malformed")
    return body[1:33], body[33:]


# §6


def binding(over, secret):
    if over == "relay":
        return lp(b"relay") + lp(resume_slot(secret))
    return lp(b"webrtc") + b"".join(lp(bytes.fromhex(fingerprint)) for fingerprint in over["webrtc"])


class Generation:
    """One generation as its two ends see it."""

    def __init__(self, given, secret):
        views = {}
        for role in ("sender", "receiver"):
            end = given[role]
            views[role] = u32(end["number"]), bytes.fromhex(end["nonce"]), binding(end["over"], secret)
        (g_s, c_s, bound_s), (g_r, c_r, bound_r) = views["sender"], views["receiver"]
        conn = {(role, g): expand(secret, b"send/1 conn " + role, g) for role in (b"S", b"R") for g in (g_s, g_r)}
        mac_r = mac(conn[b"R", g_r], g_r, c_r, bound_r)
        self.shown = {"receiver": (b"\x01\x00" + g_r + c_r + mac_r).hex()}
        if g_s != g_r or mac_r != mac(conn[b"R", g_s], g_s, c_r, bound_s):
            self.shown["refused"] = "sender"
            return
        mac_s = mac(conn[b"S", g_s], g_s, c_s, c_r, bound_s)
        self.shown["sender"] = (b"\x01\x00" + g_s + c_s + mac_s).hex()
        root = extract(c_s + c_r, secret)
        self.keys = directions(root, b"send/1 data ", g_s, bound_s)
        self.aad = b"\x02\x00" + g_s
        self.sealed = {"sender": 0, "receiver": 0}
        self.opened = {"sender": 0, "receiver": 0}

    def seal(self, role, plaintext):
        if not 1 <= len(plaintext) <= 66_048:
            raise Refused("impossible length")
        record = b"\x02\x00" + seal(self.keys[role], self.sealed[role], self.aad, plaintext)
        self.sealed[role] += 1
        return record

    def open(self, by, record):
        role = other(by)
        if not 1 <= len(record) - 18 <= 66_048:
            raise Refused("impossible length")
        if record[:2] != b"\x02\x00":
            raise Refused("refused")
        try:
            unseal(self.keys[role], self.opened[role], self.aad, record[2:])
        except Refused:
            raise Refused("refused") from None
        self.opened[role] += 1


def other(role):
    return {"sender": "receiver", "receiver": "sender"}[role]


# §7


class Signals:
    """One side's signals of one meeting."""

    def __init__(self, key):
        self.key = key
        self.next_sealed = 0
        self.next_opened = 0

    def open(self, body):
        if len(body) < 25 or body[0] != 5:
            raise Refused
        counter = int.from_bytes(body[1:9], "big")
        if counter < self.next_opened:
            raise Refused
        plaintext = unseal(self.key, counter, body[:9], body[9:])
        self.next_opened = counter + 1
        return json.loads(plaintext)


def check_description(lines):
    lines = [part for line in lines for part in re.split("[\r\n]+", line) if part]

    def values(name):
        return [line[len(name) :] for line in lines if line.startswith(name)]

    media = [line.split() for line in values("m=")]
    if [fields[2:] for fields in media] != [["UDP/DTLS/SCTP", "webrtc-datachannel"]]:
        raise Refused("section")
    fingerprints = values("a=fingerprint:")
    match = len(fingerprints) == 1 and re.fullmatch("(?i)sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})", fingerprints[0])
    if not match:
        raise Refused("fingerprint")
    candidates = values("a=candidate:")
    if len(candidates) > 64:
        raise Refused("candidates")
    limits = [int(value) for value in values("a=max-message-size:")] or [65_536]
    if len(limits) > 1 or 0 < limits[0] < 66_066:
        raise Refused("message size")
    kept = [line for line in lines if not line.startswith("a=candidate:") or is_usable(line[len("a=candidate:") :])]
    return {"fingerprint": match[1].replace(":", "").lower(), "lines": kept}


def is_usable(candidate):
    fields = candidate.split()
    address, port = fields[4], int(fields[5])
    if port == 0 or len(candidate) > 512:
        return False
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address.endswith(".local")
    metadata = {ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")}
    return not (ip.is_unspecified or ip.is_multicast or ip in metadata)


# §8


class Fields:
    """What is left of a body."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        if len(self.data) < count:
            raise Refused
        head, self.data = self.data[:count], self.data[count:]
        return head

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def flag(self):
        value = self.number(1)
        if value > 1:
            raise Refused
        return bool(value)

    def digest(self):
        return self.take(32).hex()

    def rest(self):
        return self.take(len(self.data))


def file_offset(fields):
    return {"file": fields.number(4), "offset": fields.number(8)}


def decode_state(fields):
    known, digest = fields.flag(), fields.digest()
    return {"manifest": digest if known else None, "accepted": fields.flag(), "next": fields.number(4)}


def decode_data(fields):
    message = file_offset(fields)
    data = fields.rest()
    if not 1 <= len(data) <= 65_536:
        raise Refused
    return dict(message, bytes=show(data))


def decode_batch(fields):
    count = fields.number(2)
    items = [[fields.number(4), fields.number(4), fields.digest()] for _ in range(count)]
    data = fields.rest()
    lengths = [length for _, length, _ in items]
    if not items or max(lengths) > 16_384 or sum(lengths) != len(data) or len(data) > 65_536:
        raise Refused
    return {"items": items, "bytes": show(data)}


def decode_abort(fields):
    reason, file = fields.number(1), fields.number(4)
    return {"reason": reason if 1 <= reason <= 8 else 8, "file": None if file == 0xFFFFFFFF else file}


def decode_part(fields):
    purpose = fields.number(1)
    if purpose not in (1, 2):
        raise Refused
    return {"purpose": purpose, "entries": fields.rest().hex()}


MESSAGES = {
    1: ("manifest_part", decode_part),
    2: ("manifest_end", lambda f: {"entries": f.number(4), "total_size": f.number(8), "digest": f.digest()}),
    3: ("accept", lambda f: {"digest": f.digest()}),
    4: ("decline", lambda f: {"reason": f.number(1)}),
    5: ("state", decode_state),
    6: ("resume", file_offset),
    7: ("prefix", lambda f: dict(file_offset(f), digest=f.digest())),
    8: ("start", lambda f: dict(zip(("first", "offset", "until", "credit"), map(f.number, (4, 8, 4, 8))))),
    9: ("data", decode_data),
    10: ("batch", decode_batch),
    11: ("file_end", lambda f: {"file": f.number(4), "len": f.number(8), "digest": f.digest()}),
    12: ("transfer_end", lambda f: {"digest": f.digest()}),
    13: ("done", lambda f: {"digest": f.digest()}),
    14: ("done_ack", lambda f: {}),
    15: ("credit", lambda f: {"total": f.number(8)}),
    16: ("ping", lambda f: {"token": f.number(8)}),
    17: ("pong", lambda f: {"token": f.number(8)}),
    18: ("bye", lambda f: {}),
    19: ("switch", lambda f: {"next": f.number(4)}),
    20: ("abort", decode_abort),
}


def decode_messages(plaintext):
    rest, messages = Fields(plaintext), []
    while rest.data:
        number = rest.number(1)
        body = Fields(rest.take(rest.number(4)))
        if number not in MESSAGES:
            raise Refused
        name, decode = MESSAGES[number]
        messages.append({name: decode(body)})
        if body.data:
            raise Refused
    return messages


def encode_entry(entry):
    path, target = entry["path"].encode(), entry.get("target", "").encode()
    fixed_part = struct.pack(">BHqQ", entry["kind"], entry.get("mode", 0), entry.get("mtime", 0), entry.get("size", 0))
    return fixed_part + u16(len(path)) + path + u16(len(target)) + target


def decode_entries(part):
    rest, entries = Fields(part), []
    while rest.data:
        kind, mode, mtime, size = struct.unpack(">BHqQ", rest.take(19))
        path = rest.take(rest.number(2))
        target = rest.take(rest.number(2))
        try:
            names = {"path": path.decode(), "target": target.decode()}
        except UnicodeDecodeError as error:
            raise Refused from error
        entries.append(dict(names, kind=kind, mode=mode, mtime=mtime, size=size))
    return entries


MAX_PATH = 4_096


def check_path(path):
    names = path.split("/")
    if len(path.encode()) > MAX_PATH or len(names) > 32:
        raise Refused
    for name in names:
        check_name(name)


def check_name(name):
    stem = name.split(".")[0].rstrip().upper()
    devices = "(CON|PRN|AUX|NUL|CLOCK\\$|CONIN\\$|CONOUT\\$|(COM|LPT)[0-9¹²³])"
    hidden = ("Cc", "Cf", "Zl", "Zp", "Co")
    if (
        name in ("", ".", "..")
        or len(name.encode()) > 255
        or any(character in '\\:*?"<>|\ufffd' or unicodedata.category(character) in hidden for character in name)
        or name[-1] == "."
        or name[-1].isspace()
        or re.fullmatch(devices, stem)
    ):
        raise Refused


def check_manifest(purpose, entries):
    if not entries:
        raise Refused
    places = {}
    for index, entry in enumerate(entries):
        kind, path, target = entry["kind"], entry["path"], entry.get("target", "")
        check_path(path)
        if kind not in (1, 2, 3, 4) or entry.get("mode", 0) > 0o777 or entry.get("size", 0) >= 2**63:
            raise Refused
        if (kind != 1 and entry.get("size", 0)) or (kind != 3 and target):
            raise Refused
        if kind == 3:
            check_target(path, target)
        if (kind == 4 and len(entries) > 1) or (purpose == 2 and (kind != 1 or len(entries) > 1)):
            raise Refused
        names = path.split("/")
        for depth in range(1, len(names) + 1):
            spelling = "/".join(names[:depth])
            is_leaf = depth == len(names)
            role = "implied" if not is_leaf else "directory" if kind == 2 else "leaf"
            check_place(places, spelling, role)
    if sum(entry.get("size", 0) for entry in entries) >= 2**64:
        raise Refused


def check_place(places, spelling, role):
    key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", spelling).casefold())
    known = places.get(key)
    if known is None:
        places[key] = (spelling, role)
        return
    other_spelling, other_role = known
    if other_spelling != spelling or "leaf" in (role, other_role) or (role, other_role) == ("directory", "directory"):
        raise Refused
    if role == "directory":
        places[key] = (spelling, role)


def check_target(path, target):
    names = target.split("/")
    climbed = 0
    while names and names[0] == "..":
        names.pop(0)
        climbed += 1
    if path.count("/") - climbed < 1:
        raise Refused
    for name in names:
        check_name(name)


# Vectors


def splice(data, change):
    if not change:
        return data
    at, insert = change["at"], bytes.fromhex(change.get("insert", ""))
    return data[:at] + insert + data[at + change.get("remove", 0) :]


def show(data):
    return data.hex() if len(data) <= 512 else {"len": len(data), "sha256": sha256(data).hex()}


def outcome(attempt, *arguments):
    try:
        attempt(*arguments)
    except Refused as refusal:
        return str(refusal) or "refused"
    return "opened"


def vector_code(given, _):
    def one(text):
        try:
            return {"code": parse_code(text)}
        except Refused as refusal:
            return {"refused": str(refusal)}

    return same(map(one, given["typed"]))


def vector_path(given, _):
    return same({"accepted": outcome(check_path, path) == "opened"} for path in given["paths"])


def same(values):
    values = list(values)
    assert all(value == values[0] for value in values), values
    return values[0]


def vector_link(given, _):
    def one(text):
        match = re.fullmatch(r"(https?://[a-z0-9.:-]+)/#([A-Za-z0-9_-]{22})", text.strip())
        try:
            password = base64.urlsafe_b64decode(match[2] + "==")
        except TypeError:
            return {"refused": True}
        fragment = base64.urlsafe_b64encode(password).decode().rstrip("=")
        if fragment != match[2]:
            return {"refused": True}
        return {"link": f"{match[1]}/#{fragment}", "origin": match[1], "slot": slot_of_link(password).hex()}

    return same(map(one, given["pasted"]))


def vector_manifest(given, _):
    purpose = given["purpose"]
    try:
        if "parts" in given:
            parts = [bytes.fromhex(part) for part in given["parts"]]
            entries = [entry for part in parts for entry in decode_entries(part)]
        else:
            entries = given["entries"]
        check_manifest(purpose, entries)
        encoded = b"".join(map(encode_entry, entries))
        digest = sha256(bytes([purpose]) + encoded).hex()
        total = sum(entry.get("size", 0) for entry in entries)
        expect = {"entries": len(entries), "total_size": total, "digest": digest}
        if given.get("announced", expect) != expect:
            raise Refused
    except Refused:
        return {"refused": True}
    assert len(encoded) <= 60_000, "a vector of one part"
    return dict(expect, parts=[show(encoded)])


def vector_handshake(given, expect):
    handshake = Handshake(given)
    computed = {name: show(body) for name, body in handshake.sent.items()}
    if handshake.refused:
        return dict(computed, refused=handshake.refused)
    schedule = handshake.schedule
    first = expect["session"]["first_signals"]
    keys = schedule.signal_keys()
    signals = {}
    for direction, role in (("s2r", "sender"), ("r2s", "receiver")):
        signals[direction] = sealed_again(keys[role], 0, first[direction], {"type": "generations", "highest": 0})
    session = {
        "resume_slot": resume_slot(schedule.secret()).hex(),
        "verifier": schedule.verifier(handshake.nonce_s, handshake.nonce_r),
        "first_signals": signals,
    }
    return dict(computed, session=session)


def sealed_again(key, counter, body, signal):
    """How JSON is written is free: the text of the vector is opened, compared as a value, and sealed again."""
    header = b"\x05" + u64(counter)
    plaintext = unseal(key, counter, header, bytes.fromhex(body)[9:])
    return (header + seal(key, counter, header, plaintext)).hex() if json.loads(plaintext) == signal else "another"


def vector_record(given, _):
    secret = Handshake(given["handshake"]).schedule.secret()
    generations = [Generation(each, secret) for each in given["generations"]]
    sealed, shown = [], []
    for record in given["records"]:
        plaintext = bytes.fromhex(record["plaintext"]) * record.get("times", 1)
        try:
            sealed.append(generations[record["generation"]].seal(record["from"], plaintext))
            shown.append(show(sealed[-1]))
        except Refused as refusal:
            sealed.append(None)
            shown.append(str(refusal))
    deliveries = []
    for delivery in given["deliveries"]:
        record = splice(sealed[delivery["record"]], delivery.get("splice"))
        deliveries.append(outcome(generations[delivery["generation"]].open, delivery["to"], record))
    return {"openings": [each.shown for each in generations], "sealed": shown, "deliveries": deliveries}


def vector_signal(given, expect):
    schedule = Handshake(given["handshake"]).schedule
    keys, computed = schedule.signal_keys(), {}
    if "meeting" in given:
        m_s, m_r = (bytes.fromhex(given["meeting"][role]) for role in ("sender", "receiver"))
        keys = directions(extract(m_s + m_r, schedule.secret()), b"send/1 resignal ")
        computed["meet"] = {"sender": "07" + m_s.hex(), "receiver": "06" + m_r.hex()}
    ends = {role: Signals(keys[role]) for role in keys}
    sealed = []
    for said, body in zip(given["signals"], expect["sealed"], strict=True):
        end = ends[said["from"]]
        sealed.append(sealed_again(end.key, end.next_sealed, body, said["signal"]))
        end.next_sealed += 1
    everything = [{"to": other(said["from"]), "signal": index} for index, said in enumerate(given["signals"])]
    deliveries = []
    for delivery in given.get("deliveries", everything):
        body = splice(bytes.fromhex(sealed[delivery["signal"]]), delivery.get("splice"))
        deliveries.append(outcome(ends[other(delivery["to"])].open, body))
    return dict(computed, sealed=sealed, deliveries=deliveries)


def vector_description(given, _):
    try:
        return check_description(given["lines"])
    except Refused as refusal:
        return {"refused": str(refusal)}


def vector_message(given, expect):
    plaintext = bytes.fromhex(given["plaintext"])
    try:
        messages = decode_messages(plaintext)
    except Refused:
        return {"refused": True}
    # Only an unknown reason may be encoded otherwise than it came.
    encoded = show(plaintext) if messages != [{"abort": {"reason": 8, "file": None}}] else "140000000508ffffffff"
    return {"messages": messages, "encoded": encoded}


def main(directory):
    passed, failed = 0, 0
    for path in sorted(Path(directory).glob("*.json")):
        vector = json.loads(path.read_text())
        computed = globals()["vector_" + vector["kind"]](vector["given"], vector["expect"])
        if computed == vector["expect"]:
            passed += 1
        else:
            failed += 1
            print(f"{path.stem}\n  computed {json.dumps(computed)}\n  expected {json.dumps(vector['expect'])}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
