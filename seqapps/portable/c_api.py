"""A SavedModel through TensorFlow's C interface alone, which the wheel ships: no Python, no Keras.

What programs in C, Go, Java or Rust do. The libraries are loaded with ctypes in a process of their
own, so no compiler is needed.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqapps.errors import UserError
from seqapps.portable import fresh

_PROGRAM = r"""
import base64, ctypes as c, os, time
request = json.load(sys.stdin)
for name in ("framework", "cc"):
    path = os.path.join(request["libraries"], f"libtensorflow_{name}.so.2")
    lib = c.CDLL(path, c.RTLD_GLOBAL)
P = c.c_void_p
class Output(c.Structure):
    _fields_ = [("oper", P), ("index", c.c_int)]
class String(c.Structure):
    _fields_ = [("raw", c.c_uint64 * 3)]
def function(name, result, *arguments):
    symbol = getattr(lib, name)
    symbol.restype, symbol.argtypes = result, arguments
    return symbol
new_status = function("TF_NewStatus", P)
code = function("TF_GetCode", c.c_int, P)
message = function("TF_Message", c.c_char_p, P)
new_graph = function("TF_NewGraph", P)
new_options = function("TF_NewSessionOptions", P)
load = function("TF_LoadSessionFromSavedModel", P, P, P, c.c_char_p, c.POINTER(c.c_char_p), c.c_int,
                P, P, P)
operation = function("TF_GraphOperationByName", P, P, c.c_char_p)
allocate = function("TF_AllocateTensor", P, c.c_int, c.POINTER(c.c_int64), c.c_int, c.c_size_t)
data = function("TF_TensorData", P, P)
kind = function("TF_TensorType", c.c_int, P)
rank = function("TF_NumDims", c.c_int, P)
dim = function("TF_Dim", c.c_int64, P, c.c_int)
delete = function("TF_DeleteTensor", None, P)
run = function("TF_SessionRun", None, P, P, c.POINTER(Output), c.POINTER(P), c.c_int,
               c.POINTER(Output), c.POINTER(P), c.c_int, P, c.c_int, P, P)
string_init = function("TF_StringInit", None, P)
string_copy = function("TF_StringCopy", None, P, c.c_char_p, c.c_size_t)
string_data = function("TF_StringGetDataPointer", P, P)
string_size = function("TF_StringGetSize", c.c_size_t, P)
TYPES = {1: c.c_float, 3: c.c_int32, 9: c.c_int64, 10: c.c_bool, 4: c.c_uint8, 2: c.c_double}
NAMES = {1: "float32", 3: "int32", 9: "int64", 7: "string", 10: "bool", 4: "uint8", 2: "float64"}
CODES = {name: number for number, name in NAMES.items()}
status = new_status()
def check(what):
    if code(status):
        sys.exit(f"{what}: {message(status).decode()}")
graph = new_graph()
session = load(new_options(), None, request["servable"].encode(), (c.c_char_p * 1)(b"serve"), 1,
               graph, None, status)
check("load")
def place(name):
    oper, _, index = name.partition(":")
    node = operation(graph, oper.encode())
    if not node:
        sys.exit(f"the graph has no operation {oper}")
    return Output(node, int(index or 0))
def tensor(dtype, shape, values):
    dims = (c.c_int64 * max(1, len(shape)))(*shape)
    if dtype == "string":
        made = allocate(7, dims, len(shape), 24 * len(values))
        strings = c.cast(data(made), c.POINTER(String))
        for i, value in enumerate(values):
            content = base64.b64decode(value)
            string_init(c.byref(strings[i]))
            string_copy(c.byref(strings[i]), content, len(content))
        return made
    kind_of = TYPES[CODES[dtype]]
    made = allocate(CODES[dtype], dims, len(shape), c.sizeof(kind_of) * len(values))
    c.memmove(data(made), (kind_of * len(values))(*values), c.sizeof(kind_of) * len(values))
    return made
def plain(made):
    shape = [dim(made, i) for i in range(rank(made))]
    count = 1
    for size in shape:
        count *= size
    if kind(made) == 7:
        strings = c.cast(data(made), c.POINTER(String))
        values = []
        for i in range(count):
            here = c.byref(strings[i])
            content = c.string_at(string_data(here), string_size(here))
            values.append(base64.b64encode(content).decode())
    else:
        values = list((TYPES[kind(made)] * count).from_address(data(made))) if count else []
    return [NAMES[kind(made)], shape, values]
answers, seconds = [], []
for call in request["calls"]:
    names, results = list(call["inputs"]), list(call["outputs"])
    ins = (Output * len(names))(*(place(call["places"][name]) for name in names))
    values = (P * len(names))(*(tensor(*call["inputs"][name]) for name in names))
    outs = (Output * len(results))(*(place(call["outputs"][name]) for name in results))
    tensors = (P * len(results))()
    begun = time.perf_counter()
    run(session, None, ins, values, len(names), outs, tensors, len(results), None, 0, None, status)
    seconds.append(time.perf_counter() - begun)
    check("run")
    answers.append({name: plain(tensors[i]) for i, name in enumerate(results)})
    for made in (*values, *tensors):
        delete(made)
json.dump([answers, seconds], sys.stdout)
"""

Packed = tuple[str, Sequence[int], Sequence[Any]]


def call_servable(
    servable: Path, signature: str, batches: Sequence[Mapping[str, Packed]]
) -> tuple[list[dict[str, Packed]], list[float]]:
    """Calls a signature of a SavedModel through the C interface, in a new process.

    Args:
        servable: The SavedModel's folder.
        signature: The one to call.
        batches: For each call its tensors by name: type, shape, flat values, strings in base64.

    Returns:
        The outputs of each call by name, likewise, and its seconds.

    Raises:
        UserError: If the SavedModel cannot be loaded or called so.
    """
    takes, gives = places(servable, signature)
    spec = find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise UserError("there is no TensorFlow; pip install tensorflow.")
    request = {
        "libraries": str(Path(spec.origin).parent),
        "servable": str(servable.resolve()),
        "calls": [{"inputs": b, "places": takes, "outputs": gives} for b in batches],
    }
    done = fresh.run(_PROGRAM, told=request, without=("tensorflow", "keras", "seqapps"))
    if done.returncode:
        raise UserError(
            f"{servable} does not run through the C interface: {done.stderr.strip()[-1000:]}"
        )
    answers, seconds = fresh.answer(done)
    return answers, seconds


def places(servable: Path, signature: str) -> tuple[dict[str, str], dict[str, str]]:
    """Where a signature's inputs and outputs are in the graph: `operation:number` by name."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((servable / "saved_model.pb").read_bytes())
    declared = proto.meta_graphs[0].signature_def[signature]
    return (
        {name: info.name for name, info in declared.inputs.items()},
        {name: info.name for name, info in declared.outputs.items()},
    )
