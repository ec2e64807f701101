#!/usr/bin/env python3
"""Writes testdata/vectors/format: one folder each, `input` and `case.toml`.

    python3 testdata/make-format-vectors.py

Most inputs are made with the libraries that own the formats:

    pip install numpy safetensors onnx gguf h5py joblib keras jax tensorboard tflite \
        flatbuffers sentencepiece lz4 zstandard

The committed bytes are what the tests read; a newer library may write others.
Nothing here is harmful: what the pickles would call is `os.getcwd`,
`builtins.print` or a name that does not exist.
"""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import pickle
import pickletools  # noqa: F401  (the reference for the opcodes)
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "vectors" / "format"
WRITTEN = set()


def case(name, data, formats, code=None, malformed=False, says=(), facts=None, why=""):
    """`code`: reasons expected (a list), `says`: words that must stand in the facts."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input").write_bytes(data)
    text = f'what = {json.dumps(why or name)}\nformats = {json.dumps(sorted(formats))}\n'
    text += f"code = {json.dumps(sorted(code or []))}\nmalformed = {json.dumps(malformed)}\n"
    if says:
        text += f"says = {json.dumps(list(says))}\n"
    for key, value in (facts or {}).items():
        text += "" if "[facts]" in text else "[facts]\n"
        text += f"{json.dumps(key)} = {json.dumps(value)}\n"
    (folder / "case.toml").write_text(text)
    WRITTEN.add(name)


class Call:
    """A pickle that calls something harmless."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


EVIL = {n: pickle.dumps(Call(os.getcwd), protocol=n) for n in range(6)}
CWD = "posix.getcwd"


def safetensors_raw(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def safetensors():
    import numpy as np
    from safetensors.numpy import save

    good = save({"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.float16)},
                metadata={"format": "np", "license": "apache-2.0"})
    st = ["safetensors"]
    case("safetensors", good, st, says=["apache-2.0"], facts={"safetensors.tensors": 2, "safetensors.parameters": 8})
    tensor = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}
    case("safetensors-header-beyond-end", struct.pack("<Q", 1 << 30) + b'{"a":{}}', st, malformed=True, says=["header"])
    case("safetensors-header-not-json", safetensors_raw(b'{"a": nonsense}', b""), st, malformed=True)
    case("safetensors-key-twice", safetensors_raw(
        b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', b"abcd"),
        st, malformed=True, says=["stands twice"])
    case("safetensors-overlap", safetensors_raw({"a": tensor, "b": tensor}, b"abcd"), st, malformed=True, says=["overlap"])
    case("safetensors-gap", safetensors_raw({"a": {**tensor, "data_offsets": [4, 8]}}, b"abcdefgh"), st, malformed=True, says=["gap"])
    case("safetensors-wrong-length", safetensors_raw({"a": {**tensor, "shape": [5]}}, b"abcd"), st, malformed=True, says=["do not match"])
    case("safetensors-backwards", safetensors_raw({"a": {**tensor, "data_offsets": [4, 0]}}, b"abcd"), st, malformed=True, says=["ends before it begins"])
    case("safetensors-shape-overflows", safetensors_raw(
        {"a": {"dtype": "F64", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}}, b"abcd"), st, malformed=True)
    case("safetensors-dtype-unknown", safetensors_raw({"a": {**tensor, "dtype": "X9"}}, b"abcd"), st, malformed=True, says=["X9"])
    case("safetensors-metadata-not-text", safetensors_raw({"__metadata__": {"n": 1}, "a": tensor}, b"abcd"), st, malformed=True)
    case("safetensors-bytes-after", good + b"tail", st, malformed=True, says=["after the last tensor"])
    case("safetensors-truncated", good[:-1], st, malformed=True, says=["need"])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("data.pkl", EVIL[2])
    case("polyglot-safetensors-zip", good + archive.getvalue(), ["safetensors", "zip", "torch-zip", "pickle", "pickle-in-zip"],
         code=["format", "import", "member"], malformed=True, says=[CWD],
         why="a zip with a pickle appended to a safetensors file")
    inside = safetensors_raw({"a": {"dtype": "U8", "shape": [len(archive.getvalue())],
                                    "data_offsets": [0, len(archive.getvalue())]}}, archive.getvalue())
    case("polyglot-safetensors-zip-as-tensor", inside, ["safetensors", "zip", "torch-zip", "pickle", "pickle-in-zip"],
         code=["format", "import", "member"], says=[CWD],
         why="a well-formed safetensors file whose tensor is a zip that readers of zip find by its end record")


def gguf():
    import numpy as np
    from gguf import GGUFWriter

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.gguf"
        w = GGUFWriter(path, "llama")
        w.add_name("tiny")
        w.add_license("apache-2.0")
        w.add_file_type(1)
        w.add_block_count(1)
        w.add_chat_template("{{ messages }}")
        w.add_token_list(["a", "b", "c"])
        w.add_tensor("t", np.arange(12, dtype=np.float16).reshape(3, 4))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        good = path.read_bytes()
    kind = ["gguf"]
    case("gguf", good, kind, says=["llama", "tiny", "apache-2.0", "chat_template"],
         facts={"gguf.tensors": 1, "gguf.parameters": 12, "gguf.quantization": "F16"})
    head = lambda version, tensors, pairs: b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)
    key = lambda name: struct.pack("<Q", len(name)) + name
    case("gguf-1", b"GGUF" + struct.pack("<III", 1, 0, 1) + struct.pack("<I", 12) + b"general.name" + struct.pack("<II", 8, 1) + b"x",
         kind, says=["general.name"])
    case("gguf-truncated", good[:60], kind, malformed=True)
    case("gguf-no-header", b"GGUF", kind, malformed=True)
    case("gguf-big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0), kind, malformed=True, says=["big-endian"])
    case("gguf-version-9", head(9, 0, 0), kind, malformed=True)
    case("gguf-tensors-without-end", head(3, 1 << 60, 0), kind, malformed=True, says=["the limit is"])
    case("gguf-pairs-without-end", head(3, 0, 1 << 60), kind, malformed=True, says=["the limit is"])
    case("gguf-array-without-end", head(3, 0, 1) + key(b"a") + struct.pack("<IIQ", 9, 4, 1 << 60), kind, malformed=True, says=["the limit is"])
    case("gguf-arrays-nested", head(3, 0, 1) + key(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9, kind, malformed=True, says=["nested"])
    case("gguf-text-beyond-end", head(3, 0, 1) + key(b"a") + struct.pack("<IQ", 8, 1 << 63), kind, malformed=True, says=["longer than the file"])
    case("gguf-type-unknown", head(3, 0, 1) + key(b"a") + struct.pack("<I", 99), kind, malformed=True, says=["value type 99"])
    case("gguf-key-twice", head(3, 0, 2) + (key(b"general.name") + struct.pack("<IQ", 8, 1) + b"x") * 2, kind, malformed=True, says=["stands twice"])
    case("gguf-shape-overflows", head(3, 1, 0) + key(b"t") + struct.pack("<IQQIQ", 2, 1 << 62, 1 << 62, 0, 0), kind, malformed=True, says=["overflows"])
    case("gguf-tensor-beyond-end", head(3, 1, 0) + key(b"t") + struct.pack("<IQIQ", 1, 4, 0, 1 << 40), kind, malformed=True, says=["beyond the end"])
    case("gguf-alignment-zero", head(3, 0, 1) + key(b"general.alignment") + struct.pack("<II", 4, 0), kind, malformed=True, says=["alignment"])


def pickles():
    p = ["pickle"]
    for n in range(6):
        case(f"pickle-{n}-call", EVIL[n], p, code=["import"], says=[CWD, "REDUCE"], facts={"pickle.protocol": n if n > 1 else 0})
    case("pickle-data", pickle.dumps({"a": [1, 2.5, "x"], "b": None}, protocol=4), p, code=["format"], says=["imports nothing"])
    case("pickle-0-data", pickle.dumps({"a": [1, 2.5, "x"]}, protocol=0), p, code=["format"])
    case("pickle-inst", b"(S'hello'\nibuiltins\nprint\n.", p, code=["import"], says=["builtins.print", "INST"])
    case("pickle-obj", b"(cbuiltins\nprint\nS'hello'\no.", p, code=["import"], says=["OBJ"])
    case("pickle-newobj-ex", b"\x80\x04cbuiltins\ndict\n)}\x92.", p, code=["import"], says=["NEWOBJ_EX"])
    case("pickle-import-only", b"\x80\x02cno_such_module\nname\n.", p, code=["import"], says=["no_such_module.name"],
         why="an import runs a module's code without any call")
    case("pickle-names-from-memo", b"\x80\x04\x8c\x08builtins\x94\x8c\x05print\x94NNN00" b"0" b"h\x00h\x01\x93)R.",
         p, code=["import"], says=["builtins.print"], why="STACK_GLOBAL with names fetched from the memo")
    case("pickle-names-duplicated-memo", b"\x80\x04\x8c\x08builtins\x94\x8c\x05print\x94q\x01\x8c\x05other\x94000h\x00h\x01\x93)R.",
         p, code=["import"], says=["builtins.print"], why="MEMOIZE numbers by the entries there are, not by the puts")
    case("pickle-names-computed", b"\x80\x04N\x8c\x05print\x93)R.", p, code=["import"], says=["?.print"])
    case("pickle-extension", b"\x80\x02\x82\x07.", p, code=["import"], says=["copyreg extension.7"])
    case("pickle-persistent", b"\x80\x02X\x01\x00\x00\x00aQ.", p, code=["format"], says=["persistent_ids"])
    case("pickle-two", pickle.dumps(1, 2) + EVIL[2], p, code=["import"], says=[CWD], facts={"pickle.pickles": 2})
    case("pickle-then-bytes", EVIL[2] + b"\0" * 64, p, code=["import"], facts={"pickle.trailing_bytes": 64})
    case("pickle-call-then-garbage", EVIL[4][:-1] + b"\xff\xff", p, code=["import"], malformed=True, says=["no pickle opcode"],
         why="an unpickler has called before it stumbles")
    case("pickle-0-call-then-garbage", EVIL[0][:-1] + b"\xff", p, code=["import"], malformed=True)
    case("pickle-truncated", EVIL[4][:-1], p, code=["import"], malformed=True, says=["ends before"])
    case("pickle-length-beyond-end", b"\x80\x04" + b"K\x01K\x02K\x030" + b"\x8d" + struct.pack("<Q", 1 << 62), p, code=["format"], malformed=True, says=["cut off"])
    case("pickle-empty-stack", b"\x80\x04\x95\x02\0\0\0\0\0\0\0R.", p, code=["format"], malformed=True, says=["empty stack"])
    case("pickle-without-mark", b"\x80\x04N0N0N0t.", p, code=["format"], malformed=True, says=["mark"])
    many = b"\x80\x02" + b"N0" * 1_000_001 + EVIL[2][2:]
    case("pickle-long-gz", gzip.compress(many, 9, mtime=0), ["gzip", "pickle"], code=["format", "member", "scan-truncated"], says=["pickle opcodes"],
         why="a call behind more opcodes than are looked at")
    deep = b"\x80\x02" + b"(" * 100_001 + b"."
    case("pickle-deep-gz", gzip.compress(deep, 9, mtime=0), ["gzip", "pickle"], code=["format", "member", "scan-truncated"], says=["pickle stack"])
    case("pickle-control-characters", b"\x80\x02cbuiltins\npr\x1b[2Jint\n.", p, code=["import"], says=["pr\\\\u{1b}[2Jint"])
    case("pickle-0-names-on-stack", b"S'builtins'\nS'print'\n\x93)R.", p, code=["import"], says=["builtins.print"])
    case("pickle-crosses-its-frame", b"\x80\x04\x95\x05\0\0\0\0\0\0\0cos\nos\nprint\n0N.", p, code=["import", "not-scanned"], malformed=True, says=["end of its frame"],
         why="CPython's C unpickler drops what is left of a frame in mid-line: it imports another name than stands there")
    case("pickle-unmarked-crosses-its-frame", b"]\x95\x0e\0\0\0\0\0\0\0\x8d\x08\0\0\0\0\0\0\0builtinsdN.", p, code=["format", "not-scanned"], malformed=True)
    case("pickle-frame-in-frame", b"\x80\x04\x95\x14\0\0\0\0\0\0\0\x95\x01\0\0\0\0\0\0\0N0NNNNNNNNN.", p, code=["format", "not-scanned"], malformed=True)
    case("pickle-inst-without-mark", b"\x80\x02ios\ngetcwd\n.", p, code=["import"], malformed=True, says=["os.getcwd"], why="it imports before it looks for the mark")
    case("pickle-0-import-then-fails", b"cno_such_module\nname\n\xff\0\1", p, code=["import"], malformed=True)
    case("raw-like-a-text-opcode", b"I" + b"\0" * 5000, ["unknown"])
    case("text-of-opcodes", b"class Foo\nbar\nReady or not.\n", ["text"], why="text that begins with opcodes is no pickle")
    case("text-vocabulary", b"cat\ndog\nemu\n", ["text"])
    case("raw-like-a-pickle", b"\x80\x04\xff\xfe" + bytes(range(128, 256)), ["unknown"], why="raw numbers that begin as a pickle does")

    legacy = b"".join(pickle.dumps(x, protocol=2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    case("torch-legacy", legacy + EVIL[2] + pickle.dumps(["0"], protocol=2) + struct.pack("<Q4f", 4, 1, 2, 3, 4),
         ["pickle", "torch-legacy"], code=["format", "import"], says=[CWD])


def zipped(members, method=zipfile.ZIP_STORED, zip64=False):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            with z.open(info, "w", force_zip64=zip64) as f:
                f.write(data)
    return out.getvalue()


def zips():
    from collections import OrderedDict

    tz = ["zip", "torch-zip", "pickle", "pickle-in-zip"]
    state = pickle.dumps(OrderedDict(w=1), protocol=2)
    torch = {"archive/data.pkl": state, "archive/byteorder": b"little", "archive/data/0": struct.pack("<4f", 1, 2, 3, 4), "archive/version": b"3\n"}
    code = ["format", "import", "member"]
    case("torch-zip", zipped(torch), tz, code=code, says=["collections.OrderedDict"])
    case("torch-zip-deflated", zipped(torch, zipfile.ZIP_DEFLATED), tz, code=code, says=["collections.OrderedDict"])
    case("torch-zip-64", zipped(torch, zip64=True), tz, code=code, says=["collections.OrderedDict"])
    case("torchscript", zipped({**torch, "archive/constants.pkl": pickle.dumps((), 2), "archive/code/__torch__.py": b"class M(Module):\n  pass\n"}),
         tz + ["torchscript", "script"], code=code + ["program"])
    case("pickle-in-zip", zipped({"weights.bin": EVIL[4]}), ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], says=[CWD])
    case("pickle-in-zip-in-zip", zipped({"a": zipped({"b": EVIL[0]}, zipfile.ZIP_DEFLATED)}, zipfile.ZIP_DEFLATED),
         ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], says=["a!/b", CWD])
    deep = EVIL[2]
    for _ in range(6):
        deep = zipped({"z": deep})
    case("zip-nested-too-deeply", deep, ["zip"], code=["member", "not-scanned"], says=["nested too deeply"])
    case("zip-stored-in-zip", zipped({"inner.zip": zipped({"a.txt": b"hello"})}), ["zip"],
         why="the end record of an archive in the archive is no second directory")
    case("zip-data-only", zipped({"a.txt": b"hello", "b.bin": bytes(range(256))}), ["zip"], facts={"zip.members": 2})
    case("zip-empty", zipped({}), ["zip"])
    case("zip-leads-out", zipped({"../../etc/x": b"hello"}), ["zip"], malformed=True, says=["leads out"])
    case("zip-absolute", zipped({"/etc/x": b"hello"}), ["zip"], malformed=True, says=["leads out"])
    case("zip-drive", zipped({"C:x": b"hello"}), ["zip"], malformed=True, says=["leads out"])
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as z:
        info = zipfile.ZipInfo("weights")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        z.writestr(info, "/etc/passwd")
    case("zip-symlink", link.getvalue(), ["zip"], malformed=True, says=["symbolic link"])
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as z:
        import warnings
        warnings.simplefilter("ignore")
        z.writestr("a", "one")
        z.writestr("a", "two")
    case("zip-name-twice", twice.getvalue(), ["zip"], malformed=True, says=["stands twice"])
    plain = zipped({"weights.bin": EVIL[4]})
    case("zip-prefixed", b"#!/bin/sh\nexit 0\n" + plain, ["zip", "pickle", "pickle-in-zip", "script"], code=["import", "member", "program"], facts={"zip.offset": 17})
    case("polyglot-pickle-zip", EVIL[0] + plain, ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], says=["pickle in weights.bin"],
         why="a pickle before a zip with a pickle")
    case("zip-with-comment-and-tail", plain[:-2] + struct.pack("<H", 5) + b"hello" + b"tail", ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], facts={"zip.trailing_bytes": 4})
    case("zip-two-directories", zipped({"a": b"nothing here"}) + plain, ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], malformed=True, says=["more than one directory"])
    case("zip-two-directories-pickle-first", plain + zipped({"a": b"nothing here"}), ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], malformed=True, says=["more than one directory"])
    case("zip-without-directory", plain[:60], ["zip"], code=["not-scanned"], malformed=True, says=["no end record"])
    lied = bytearray(plain)
    lied[30:41] = b"harmless.md"
    case("zip-local-name-differs", bytes(lied), ["zip"], code=["not-scanned"], malformed=True, says=["in its local header"])
    far = bytearray(plain)
    at = far.rfind(b"PK\x01\x02")
    far[at + 42:at + 46] = struct.pack("<I", 0x7FFFFFFF)
    case("zip-header-beyond-end", bytes(far), ["zip"], code=["not-scanned"], malformed=True)
    long = bytearray(plain)
    long[at + 20:at + 24] = struct.pack("<I", 0x7FFFFFFF)
    case("zip-member-beyond-end", bytes(long), ["zip"], code=["not-scanned"], malformed=True, says=["cut off"])
    locked = bytearray(plain)
    locked[at + 8] |= 1
    case("zip-encrypted", bytes(locked), ["zip"], code=["not-scanned"], says=["encrypted"])
    case("zip-bzip2", zipped({"weights.bin": EVIL[4]}, zipfile.ZIP_BZIP2), ["zip"], code=["not-scanned"], says=["method 12"])
    case("zip-deflated-bomb", zipped({"w": EVIL[4] + b"\0" * (17 << 20)}, zipfile.ZIP_DEFLATED), ["zip", "pickle", "pickle-in-zip"], code=["import", "member", "scan-truncated"], says=["not all of"])
    count = bytearray(plain)
    count[-14:-10] = struct.pack("<HH", 7, 7)
    case("zip-count-lies", bytes(count), ["zip", "pickle", "pickle-in-zip"], code=["import", "member"], malformed=True, says=["the end record says 7"])
    bad64 = plain[:-22] + b"PK\x06\x07" + struct.pack("<IQI", 0, 1 << 60, 1) + plain[-22:]
    case("zip64-locator-lies", bad64, ["zip"], code=["not-scanned"], malformed=True, says=["zip64"])


def keras():
    os.environ["KERAS_BACKEND"] = "numpy"
    try:
        import keras as K
    except Exception as error:  # its numpy backend needs jax
        sys.exit(f"keras: {error}")
    import h5py  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        plain = K.Sequential([K.Input((2,)), K.layers.Dense(2, name="d")])
        lamb = K.Sequential([K.Input((2,)), K.layers.Lambda(lambda x: x * 2, name="twice")])
        for name, model in (("plain", plain), ("lambda", lamb)):
            model.save(folder / f"{name}.keras")
            model.save(folder / f"{name}.h5")
        get = lambda name: (folder / name).read_bytes()
        case("keras-zip", get("plain.keras"), ["zip", "keras-zip", "json", "hdf5"], says=["Sequential"])
        case("keras-zip-lambda", get("lambda.keras"), ["zip", "keras-zip", "keras-lambda", "json", "hdf5"], code=["layer", "member"], says=["Lambda"])
        case("hdf5-keras", get("plain.h5"), ["hdf5"], says=["model_config"])
        case("hdf5-keras-lambda", get("lambda.h5"), ["hdf5", "hdf5-keras-lambda"], code=["layer"], says=["Lambda"])
        config = json.loads(zipfile.ZipFile(folder / "plain.keras").read("config.json"))
        meta = zipfile.ZipFile(folder / "plain.keras").read("metadata.json")
        config["config"]["layers"][1]["module"] = "os"
        config["config"]["layers"][1]["class_name"] = "getcwd"
        kz = ["zip", "keras-zip", "keras-lambda", "json"]
        case("keras-zip-foreign-module", zipped({"metadata.json": meta, "config.json": json.dumps(config).encode()}), kz, code=["member", "module"], says=["os.getcwd"])
        case("keras-zip-escaped", zipped({"metadata.json": meta, "config.json": b'{"class_name":"Sequential","config":{"layers":[{"cl\\u0061ss_name":"L\\u0061mbda"}]}}'}), kz, code=["layer", "member"])
        case("keras-zip-class-twice", zipped({"metadata.json": meta, "config.json": b'{"class_name":"Sequential","config":{"layers":[{"class_name":"Lambda","class_name":"Dense"}]}}'}), kz, code=["layer", "member"])
        case("keras-zip-config-broken", zipped({"metadata.json": meta, "config.json": b'{"class_name":"Sequential","config":{'}), kz, code=["member", "not-scanned"], malformed=True)
        case("keras-json-lambda", b'{"class_name":"Sequential","keras_version":"3","config":{"layers":[{"class_name":"Lambda","config":{}}]}}', ["json", "keras-lambda"], code=["layer"])
        case("keras-json", b'{"class_name":"Sequential","keras_version":"3","config":{"layers":[]}}', ["json"])
        h5 = get("plain.h5")
        assert b'"Dense"' in h5 and b'"module": "keras.initializers"' in h5
        case("hdf5-user-block", b"\0" * 512 + h5, ["hdf5"], facts={"hdf5.offset": 512})
        case("hdf5-keras-escaped", h5.replace(b'"Dense"', b'"\\u004c"'[:7].ljust(7)), ["hdf5", "hdf5-keras-lambda"], code=["not-scanned"])
        case("hdf5-keras-foreign-module", h5.replace(b'"keras.initializers"', b'"acme.initializers" '), ["hdf5", "hdf5-keras-lambda"], code=["module"])
    case("hdf5-magic-only", b"\x89HDF\r\n\x1a\n", ["hdf5"])


def arrays():
    import joblib
    import numpy as np

    def npy(array, **kw):
        out = io.BytesIO()
        np.save(out, array, **kw)
        return out.getvalue()

    case("numpy", npy(np.arange(6, dtype="<f4").reshape(2, 3)), ["numpy"], says=["<f4", "(2, 3)"])
    objects = npy(np.array([Call(os.getcwd)], dtype=object), allow_pickle=True)
    case("numpy-objects", objects, ["numpy"], code=["import", "object-array"], says=[CWD])
    fields = np.zeros(1, dtype=[("a", "<i4"), ("b", "O")])
    fields["b"][0] = Call(os.getcwd)
    case("numpy-field-of-objects", npy(fields, allow_pickle=True), ["numpy"], code=["import", "object-array"], says=[CWD])
    case("numpy-header-cut", objects[:20], ["numpy"], malformed=True)
    case("numpy-version-9", b"\x93NUMPY\x09\0" + b"\0" * 20, ["numpy"], malformed=True)
    case("numpy-header-too-long", b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 31), ["numpy"], malformed=True, says=["the limit is"])
    case("numpy-without-descr", b"\x93NUMPY\x01\0" + struct.pack("<H", 16) + b"{'shape': (1,)}\n", ["numpy"], malformed=True, says=["descr"])
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3), b=np.ones(2))
    case("numpy-zip", out.getvalue(), ["zip", "numpy-zip", "numpy"])
    out = io.BytesIO()
    np.savez_compressed(out, a=np.array([Call(os.getcwd)], dtype=object))
    case("numpy-zip-objects", out.getvalue(), ["zip", "numpy-zip", "numpy"], code=["import", "member", "object-array"], says=[CWD])

    def dumped(compress=0):
        out = io.BytesIO()
        joblib.dump({"w": np.arange(64, dtype=np.float64), "then": Call(os.getcwd)}, out, compress=compress)
        return out.getvalue()

    jl = ["joblib", "pickle"]
    code = ["format", "import", "scan-truncated"]
    case("joblib", dumped(), jl, code=code, says=["joblib.numpy_pickle.NumpyArrayWrapper", "raw arrays"])
    case("joblib-zlib", dumped(("zlib", 3)), jl + ["zlib"], code=code + ["member"])
    case("joblib-gzip", dumped(("gzip", 3)), jl + ["gzip"], code=code + ["member"])
    case("joblib-bz2", dumped(("bz2", 3)), ["bzip2"], code=["not-scanned"])
    case("joblib-xz", dumped(("xz", 3)), ["xz"], code=["not-scanned"])
    case("joblib-lzma", dumped(("lzma", 3)), ["lzma"], code=["not-scanned"])


def compressed():
    import lz4.frame
    import zstandard

    case("gzip-text", gzip.compress(b"hello\n", mtime=0), ["gzip"])
    case("gzip-pickle", gzip.compress(EVIL[4], mtime=0), ["gzip", "pickle"], code=["import", "member"], says=[CWD])
    named = io.BytesIO()
    with gzip.GzipFile("model.pkl", "wb", fileobj=named, mtime=0) as f:
        f.write(EVIL[4])
    case("gzip-with-name", named.getvalue(), ["gzip", "pickle"], code=["import", "member"])
    case("gzip-two-members", gzip.compress(b"hello", mtime=0) + gzip.compress(EVIL[4], mtime=0), ["gzip"], code=["scan-truncated"])
    case("gzip-truncated", gzip.compress(EVIL[4] + b"x" * 100, mtime=0)[:-12], ["gzip", "pickle"], code=["import", "member", "not-scanned"], malformed=True,
         why="a loader that unpacks while it reads has called before it sees the damage")
    case("gzip-header-cut", b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name", ["gzip"], code=["not-scanned"], malformed=True)
    case("gzip-bomb", gzip.compress(b"\0" * (17 << 20), 9, mtime=0), ["gzip"], code=["scan-truncated"])
    case("zlib-pickle", zlib.compress(EVIL[4]), ["zlib", "pickle"], code=["import", "member"])
    case("zlib-pickle-damaged", zlib.compress(EVIL[0] + bytes(range(256)) * 8)[:-20] + b"\xff" * 20, ["zlib", "pickle"], code=["import", "member", "not-scanned"], malformed=True)
    case("text-like-zlib", b"x^2 + y^2 = z^2\n", ["text"])
    case("bzip2", bz2.compress(EVIL[4]), ["bzip2"], code=["not-scanned"])
    case("xz", lzma.compress(EVIL[4]), ["xz"], code=["not-scanned"])
    case("lzma", lzma.compress(EVIL[4], lzma.FORMAT_ALONE), ["lzma"], code=["not-scanned"])
    case("lz4", lz4.frame.compress(EVIL[4]), ["lz4"], code=["not-scanned"])
    case("zstd", zstandard.ZstdCompressor().compress(EVIL[4]), ["zstd"], code=["not-scanned"])
    case("seven-zip", b"7z\xbc\xaf\x27\x1c\0\4" + b"\0" * 24, ["seven-zip"], code=["not-scanned"])
    case("rar", b"Rar!\x1a\x07\x01\0" + b"\0" * 24, ["rar"], code=["not-scanned"])


def tars():
    def tar(members, format=tarfile.GNU_FORMAT, links=()):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=format) as t:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
            for name, kind, target in links:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                t.addfile(info)
        # One end block is enough for a test.
        return out.getvalue().rstrip(b"\0") + b"\0" * 1024 if not links else out.getvalue()[: 512 * (len(links) + 2)]

    pad = lambda data: data + b"\0" * (-len(data) % 512)
    case("tar", pad(tar({"a/b.txt": b"hello"})), ["tar"], facts={"tar.members": 1})
    case("tar-pickle", pad(tar({"model/weights": EVIL[4]}, tarfile.PAX_FORMAT)), ["tar", "pickle"], code=["import", "member"], says=["model/weights"])
    long = "d/" * 70 + "weights"
    for name, format in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT), ("ustar", tarfile.USTAR_FORMAT)):
        case(f"tar-long-name-{name}", pad(tar({long: EVIL[4]}, format)), ["tar", "pickle"], code=["import", "member"], says=["d/d/weights"])
    case("tar-gz", gzip.compress(pad(tar({"w": EVIL[4]})), mtime=0), ["gzip", "tar", "pickle"], code=["import", "member"], says=["gzip!/w"])
    case("tar-leads-out", pad(tar({"../x": b"hello"})), ["tar"], malformed=True, says=["leads out"])
    case("tar-link-out", tar({}, links=[("l", tarfile.SYMTYPE, "../../x")]), ["tar"], malformed=True, says=["leads out to"])
    case("tar-device", tar({}, links=[("d", tarfile.CHRTYPE, "")]), ["tar"], malformed=True, says=["device"])
    two = bytearray(pad(tar({"a": b"x" * 512, "b": EVIL[4]})))
    two[1024 + 148] ^= 1
    case("tar-second-header-damaged", bytes(two), ["tar"], code=["not-scanned"], malformed=True, says=["checksum"])
    case("tar-member-beyond-end", tar({"a": b"x" * 4096})[:1024], ["tar"], code=["not-scanned"], malformed=True)
    sys_info = pickle.dumps({}, 2)
    case("torch-tar", pad(tar({"sys_info": sys_info, "pickle": EVIL[2], "storages": pickle.dumps(0, 2), "tensors": pickle.dumps(0, 2)})),
         ["tar", "torch-tar", "pickle"], code=["format", "import", "member"], says=[CWD])


def onnx_():
    import onnx
    from onnx import TensorProto, helper

    def model(nodes, opsets=(("", 21),), functions=(), inits=(), **kw):
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])], initializer=list(inits))
        m = helper.make_model(graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], functions=list(functions),
                              producer_name="obreia-test", producer_version="1.0", **kw)
        m.ir_version = 10
        return m

    relu = helper.make_node("Relu", ["x"], ["y"])
    init = helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [0.0] * 6)
    good = model([relu], inits=[init]).SerializeToString()
    kind = ["onnx"]
    case("onnx", good, kind, says=["obreia-test"], facts={"onnx.ir_version": 10, "onnx.nodes": 1, "onnx.parameters": 6})
    custom = helper.make_node("Magic", ["x"], ["y"], domain="acme.ops")
    both = (("", 21), ("acme.ops", 1))
    case("onnx-custom-operator", model([custom], both).SerializeToString(), kind, code=["operator"], says=["acme.ops.Magic", "custom_domains"])
    function = helper.make_function("acme.ops", "Magic", ["x"], ["y"], [relu], [helper.make_opsetid("", 21)])
    case("onnx-own-function", model([custom], both, [function]).SerializeToString(), kind)
    branch = helper.make_graph([helper.make_node("Hidden", [], ["y"], domain="acme.ops")], "b", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
    case("onnx-custom-operator-in-branch", model([helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)], both).SerializeToString(),
         kind, code=["operator"], says=["acme.ops.Hidden"])
    inner = helper.make_function("acme.ops", "Outer", ["x"], ["y"], [helper.make_node("Inner", ["x"], ["y"], domain="evil.ops")], [helper.make_opsetid("evil.ops", 1)])
    case("onnx-custom-operator-in-function", model([helper.make_node("Outer", ["x"], ["y"], domain="acme.ops")], both, [inner]).SerializeToString(),
         kind, code=["operator"], says=["evil.ops.Inner"])
    case("onnx-python-operator", model([helper.make_node("PythonOp", ["x"], ["y"], domain="com.microsoft")], (("com.microsoft", 1),)).SerializeToString(), kind, code=["operator"])

    def external(location):
        t = onnx.TensorProto()
        t.CopyFrom(init)
        t.ClearField("float_data")
        t.data_location = TensorProto.EXTERNAL
        e = t.external_data.add()
        e.key, e.value = "location", location
        return model([relu], inits=[t]).SerializeToString()

    case("onnx-external-data", external("weights.bin"), kind, says=["weights.bin", "external_data"])
    case("onnx-external-data-leads-out", external("../../etc/passwd"), kind, malformed=True, says=["leads out of the model"])
    huge = onnx.TensorProto(name="w", data_type=1, dims=[1 << 62, 1 << 62])
    case("onnx-shape-overflows", model([relu], inits=[huge]).SerializeToString(), kind, malformed=True, says=["overflows"])
    nested = b""
    for _ in range(40):
        node = b"\x2a" + _varint(len(nested) + 1 + len(_varint(len(nested)))) + b"\x32" + _varint(len(nested)) + nested
        nested = b"\x0a" + _varint(len(node)) + node
    case("onnx-nested-too-deeply", b"\x08\x0a" + b"\x3a" + _varint(len(nested)) + nested, kind, code=["scan-truncated"], says=["nesting"])
    case("onnx-truncated", good[:-3], ["unknown"], why="without its end it is no protocol buffer, and no runtime reads it")
    node = b"\x22\x7fRelu"
    graph = b"\x0a" + _varint(len(node)) + node
    case("onnx-node-beyond-end", b"\x08\x0a\x3a" + _varint(len(graph)) + graph, kind, malformed=True, says=["longer than its message"])


def _varint(n):
    out = b""
    while True:
        out += bytes([n & 0x7F | (0x80 if n > 0x7F else 0)])
        n >>= 7
        if not n:
            return out


def tensorflow():
    from tensorboard.compat.proto import graph_pb2, meta_graph_pb2

    def graph(*ops):
        g = graph_pb2.GraphDef()
        for i, op in enumerate(ops):
            n = g.node.add()
            n.name, n.op = f"n{i}", op
        return g

    def saved(g):
        m = meta_graph_pb2.MetaGraphDef()
        m.graph_def.CopyFrom(g)
        m.meta_info_def.tensorflow_version = "2.18.0"
        m.meta_info_def.tags.append("serve")
        body = m.SerializeToString()
        return b"\x08\x01\x12" + _varint(len(body)) + body

    sm = ["tensorflow-savedmodel"]
    case("tensorflow-savedmodel", saved(graph("Placeholder", "Identity")), sm, says=["2.18.0", "serve"], facts={"tensorflow-savedmodel.nodes": 2})
    case("tensorflow-savedmodel-pyfunc", saved(graph("Placeholder", "PyFunc")), sm, code=["operator"], says=["PyFunc"])
    g = graph("Placeholder")
    f = g.library.function.add()
    f.signature.name = "f"
    n = f.node_def.add()
    n.name, n.op = "w", "WriteFile"
    case("tensorflow-savedmodel-writefile-in-function", saved(g), sm, code=["operator"], says=["WriteFile"])
    case("tensorflow-graphdef", graph("Placeholder", "Identity").SerializeToString(), ["tensorflow-graphdef"])
    case("tensorflow-graphdef-pyfunc", graph("Placeholder", "EagerPyFunc").SerializeToString(), ["tensorflow-graphdef"], code=["operator"])

    def notes(text):
        node = b"\x10\x01\x1a\x04root\x22\x0f_tf_keras_model\x2a" + _varint(len(text)) + text
        return b"\x0a" + _varint(len(node)) + node

    case("tensorflow-keras-metadata", notes(b'{"class_name": "Sequential", "config": {}}'), ["tensorflow-keras-metadata"])
    case("tensorflow-keras-metadata-lambda", notes(b'{"class_name": "Lambda", "config": {}}'), ["tensorflow-keras-metadata", "keras-lambda"], code=["layer"])
    case("tensorflow-keras-metadata-broken", notes(b'{"class_name": '), ["tensorflow-keras-metadata"], code=["not-scanned"], malformed=True)

    from sentencepiece import sentencepiece_model_pb2 as sp
    m = sp.ModelProto()
    for piece, score in (("<unk>", 0.0), ("a", -1.0)):
        p = m.pieces.add()
        p.piece, p.score = piece, score
    m.trainer_spec.model_type = 1
    m.normalizer_spec.name = "identity"
    case("sentencepiece", m.SerializeToString(), ["sentencepiece"])


def tflite_():
    import flatbuffers
    import tflite

    def build(custom=None):
        b = flatbuffers.Builder(256)
        name = b.CreateString(custom) if custom else None
        tflite.OperatorCodeStart(b)
        if custom:
            tflite.OperatorCodeAddCustomCode(b, name)
            tflite.OperatorCodeAddBuiltinCode(b, 32)
        code = tflite.OperatorCodeEnd(b)
        tflite.ModelStartOperatorCodesVector(b, 1)
        b.PrependUOffsetTRelative(code)
        codes = b.EndVector()
        text = b.CreateString("made for a test")
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddDescription(b, text)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    kind = ["tflite"]
    case("tflite", build(), kind, says=["made for a test"], facts={"tflite.version": 3})
    case("tflite-custom-operator", build("AcmeMagic"), kind, code=["operator"], says=["AcmeMagic"])
    case("tflite-flex", build("FlexErf"), kind)
    case("tflite-flex-pyfunc", build("FlexPyFunc"), kind, code=["operator"])
    case("tflite-root-beyond-end", struct.pack("<I", 0xFFFFFFF0) + b"TFL3", kind, malformed=True)
    case("tflite-vtable-before-file", struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", 1000), kind, malformed=True, says=["before the file"])
    many = bytearray(build())
    root = struct.unpack_from("<I", many)[0]
    vtable = root - struct.unpack_from("<i", many, root)[0]
    at = root + struct.unpack_from("<H", many, vtable + 4 + 2)[0]
    at += struct.unpack_from("<I", many, at)[0]
    struct.pack_into("<I", many, at, 0x7FFFFFFF)
    case("tflite-operators-without-end", bytes(many), kind, malformed=True, says=["the limit is"])


def programs():
    ex = ["executable"]
    case("executable-elf", b"\x7fELF\x02\x01\x01" + b"\0" * 57, ex, code=["program"], says=["ELF"])
    case("executable-pe", b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0" + b"\0" * 20, ex, code=["program"], says=["PE"])
    case("executable-macho", struct.pack("<I", 0xFEEDFACF) + b"\0" * 28, ex, code=["program"], says=["Mach-O"])
    case("executable-macho-fat", struct.pack(">II", 0xCAFEBABE, 2) + b"\0" * 40, ex, code=["program"], says=["Mach-O"])
    case("executable-java", struct.pack(">IHH", 0xCAFEBABE, 0, 65) + b"\0" * 40, ex, code=["program"], says=["Java"])
    case("executable-wasm", b"\0asm\x01\0\0\0", ex, code=["program"], says=["WebAssembly"])
    case("executable-pyc", struct.pack("<H", 3571) + b"\r\n" + b"\0" * 12 + b"\xe3", ex, code=["program"], says=["Python bytecode"])
    case("executable-in-zip", zipped({"lib.so": b"\x7fELF\x02\x01\x01" + b"\0" * 57}), ["zip", "executable"], code=["member", "program"])
    case("raw-like-pe", b"MZ" + bytes(range(200, 256)) * 4, ["unknown"], why="two bytes are no proof")
    case("script-shell", b"#!/bin/sh\necho hello\n", ["script"], code=["program"], says=["/bin/sh"])
    case("script-python", b'# Copyright\n"""Model."""\n\nfrom torch import nn\n', ["script"], code=["program"], says=["Python source"])
    case("script-python-import", b"import torch.nn as nn, os\n", ["script"], code=["program"])
    case("script-python-class", b"class Model(Base):\n    pass\n", ["script"], code=["program"])
    case("text-model-card", b"---\nlicense: mit\n---\n# Model\n\n```python\nimport torch\n```\n", ["text"])
    case("text-prose", b"import duties are high, and from here to there import is hard.\n", ["text"])
    case("text-utf-8", "Grüße an alle: наука, 科学\n".encode(), ["text"])
    case("text-latin-1", "Grüße\n".encode("latin-1"), ["unknown"])
    case("json", b'{"model_type": "bert", "architectures": ["BertModel"]}', ["json"], facts={"json.model_type": "bert", "json.architectures": "BertModel"})
    case("json-lines", b'{"a": 1}\n{"a": 2}\n', ["json"], facts={"json.values": 2})
    case("json-auto-map", b'{"model_type": "x", "auto_map": {"AutoModel": "modeling_x.Model"}}', ["json"], code=["remote-code"], says=["auto_map"])
    case("json-broken", b'{"a": 1, ', ["json"], malformed=True)
    case("json-too-deep", b"[" * 500 + b"]" * 500, ["json"], malformed=True)
    case("text-template", b"{% for m in messages %}{{ m }}{% endfor %}", ["text"])
    case("empty", b"", ["empty"])
    case("unknown", bytes(range(255, 0, -1)), ["unknown"])


def main():
    for make in (safetensors, gguf, pickles, zips, keras, arrays, compressed, tars, onnx_, tensorflow, tflite_, programs):
        make()
    for folder in OUT.iterdir():
        if folder.name not in WRITTEN:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
