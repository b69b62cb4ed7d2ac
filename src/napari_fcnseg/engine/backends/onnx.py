"""ONNX Runtime: on the processor with quicker convolutions of our own, on a card by itself.

Runs in a computing process alone.
"""

from __future__ import annotations

import functools
import gc
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.conversion.dense_network import IMAGE, DenseConv, DenseNetwork, DensePool
from napari_fcnseg.conversion.shared_sums import sharings
from napari_fcnseg.conversion.ways import PLAIN, SHARED, by_step
from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.backends.onnx_cards import PROVIDERS, cards
from napari_fcnseg.engine.backends.onnx_pixels import PixelProgram
from napari_fcnseg.engine.backends.strips import Strips
from napari_fcnseg.engine.dense_function import DenseFunction, rectified
from napari_fcnseg.engine.device import Device, device_key
from napari_fcnseg.engine.kernels import choice
from napari_fcnseg.engine.kernels.threads import cores
from napari_fcnseg.engine.onnx_graph.builder import Builder
from napari_fcnseg.engine.onnx_graph.operations import GraphOperations
from napari_fcnseg.engine.onnx_graph.program import Program
from napari_fcnseg.engine.onnx_graph.together import Member
from napari_fcnseg.errors import EngineError
from napari_fcnseg.graph.pixel_network import PixelNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.engine.backends import Compiled
    from napari_fcnseg.engine.onnx_graph.builder import Function
    from napari_fcnseg.engine.onnx_graph.operations import Chain, Quicker
    from napari_fcnseg.graph.network import Network

_PROCESSOR = "CPUExecutionProvider"
_LATER = 3.0  # seconds


def start(tf32: bool) -> tuple[Device, ...]:
    """Import ONNX Runtime and return its devices (:class:`napari_fcnseg.engine.backends.Backend`).

    The processor comes first: no card was measured here by ONNX Runtime, so one is taken where it was chosen.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    # Loading what Numba has compiled takes longer than all else, and compiling it many times as long: a run that can do
    # without is not to wait for it, nor to share the cores with it.
    _later(choice.prepare)
    cpu = Device(
        device_key("onnx", "CPU", 0), _PROCESSOR, hardware.cpu_name(), "onnx", precisions=("float32",), library="MLAS"
    )
    return (cpu, *cards(onnxruntime.get_available_providers(), _session))


def compiled(network: DenseNetwork | Network | PixelNetwork, address: str, dtype: str) -> Compiled:
    """Return a dense network as a program for inputs of any size and strips, or one of every pixel as it is."""
    if isinstance(network, PixelNetwork):
        return PixelProgram(network, functools.partial(_session, address=address))
    if not isinstance(network, DenseNetwork) or dtype != "float32":
        raise EngineError("ONNX Runtime computes dense networks in float32 alone here.")
    # Strips that follow another one are computed the same way.
    quicker = _quicker(network) if address == _PROCESSOR else None
    first = _program(network, address, quicker, DenseFunction.first)
    return Strips(first, lambda _: _program(network, address, quicker, DenseFunction.more))


def _later(function: Callable[[], None]) -> None:
    """Call a function in a thread of its own, after what a small run takes."""
    timer = threading.Timer(_LATER, function)
    timer.daemon = True
    timer.start()


def _program(network: DenseNetwork, address: str, quicker: Quicker | None, part: Callable[..., Any]) -> Program:
    """Return the dense network's answer to an image, or to rows below others, as a function of arrays."""
    build = Builder()
    function = DenseFunction(network, GraphOperations(build, quicker))
    axes = len(network.patch_shape)
    given = [build.map("image", axes, network.channels)]
    if part is DenseFunction.more:
        channels = (network.channels if step == IMAGE else network.steps[step].channels for step in function.kept)
        given += [build.map(f"above_{number}", axes, count) for number, count in enumerate(channels)]
    return Program(build, given, part(function, *given), functools.partial(_session, address=address))


def _quicker(network: DenseNetwork) -> Quicker:
    """Return what returns our own way to compute a chain of a network's steps, where one was chosen."""
    ways = by_step(network)
    members = _members(network, [number for number, way in ways.items() if way == SHARED])

    @functools.cache
    def quicker(numbers: tuple[int, ...], chain: Chain, channels: tuple[int, ...]) -> Function | None:
        if any(ways[number] == PLAIN for number in numbers):
            return None
        if ways[numbers[0]] == SHARED:
            return members[numbers[0]] if len(numbers) == 1 else None
        if pools := [op for op, _ in chain if isinstance(op, DensePool)]:
            return choice.pooling(pools)
        (first, relu), *then = [(op, relu) for op, relu in chain if isinstance(op, DenseConv)]
        return choice.convolution(ways[numbers[0]], first, relu, then, channels)

    return quicker


def _members(network: DenseNetwork, wanted: Sequence[int]) -> dict[int, Member]:
    """Return what stands for each convolution that is to be computed together with others."""
    joined, found = rectified(network), dict[int, Member]()
    for sharing in sharings(network) if wanted else ():
        if sharing.steps[0] not in wanted:
            continue
        ops = [op for n in sharing.steps if isinstance(op := network.steps[n].op, DenseConv)]
        compute = choice.together(sharing, [op.bias for op in ops], [n in joined for n in sharing.steps])
        for number, op in zip(sharing.steps, ops, strict=True):
            (high, wide, *_), (down, across) = op.kernels[0].shape, op.dilations[0]
            reach = (high - 1) * down, (wide - 1) * across
            found[number] = Member(compute, network.steps[number].inputs, reach)
    return found


def _session(model: bytes, address: str = _PROCESSOR) -> Any:
    """Return a session of ONNX Runtime, on all cores of the processor that this process may use or on a card.

    Raises
    ------
    EngineError
        If the card is not there after all: ONNX Runtime would take the processor without a word.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would never give memory back
    options.enable_mem_pattern = False  # of shapes that change
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other threads compute next
    if address == _PROCESSOR:
        return onnxruntime.InferenceSession(model, options, providers=[_PROCESSOR])
    chosen = [(address, PROVIDERS[address].options), _PROCESSOR]
    session = onnxruntime.InferenceSession(model, options, providers=chosen)
    if session.get_providers()[0] != address:
        raise EngineError(f"ONNX Runtime cannot use the {PROVIDERS[address].name} now. Choose another device.")
    return session


def free_memory(address: str) -> int | None:
    """Return None: the processor has no memory of its own."""
    return None


def product(address: str, size: int, dtype: str) -> Callable[[], object]:
    """Return a function that multiplies two matrices."""
    build = Builder()
    a = np.random.default_rng(0).standard_normal((1, size, size), np.float32)
    x = build.map("a", 1, size)
    session = functools.partial(_session, address=address)
    multiply = Program(build, [x], [build.map(build.add("MatMul", x.name, x.name), 1, size)], session)
    return lambda: multiply(a)


def release(empty: bool) -> None:
    """Collect what nothing refers to any more."""
    gc.collect()
