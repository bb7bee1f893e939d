"""A plucked string as a digital waveguide, in numpy.

One string is a delay line as long as its period, closed by a symmetric (zero-phase) loss filter and a fractional
delay (third-order Lagrange), so the period is exact and glides change the length of the line while it rings. A touched
node splits the line in two, joined by a lossy junction: modes with a node under the finger pass, all others die. The
lines are computed block by block, each block shorter than the shortest delay.

All numbers that shape the tone (decay, brightness, place of the pluck) are our synthesis parameters, kept in the
graph (``ontology/data/performance.ttl``); they are no statements about history.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from guqin_kg.sound.wav import RATE

if TYPE_CHECKING:
    import numpy as np

_LATENCY = 3  # samples by which the loss filter looks ahead
_BRIDGE = 350.0  # Hz, above which the bridge passes less
_PEAK = 0.9  # loudest sample of one tone
_JUNCTION = 0.55  # share of the wave that passes a lightly touching finger


@dataclass(frozen=True, slots=True)
class Material:
    """How strings of one make sound: seconds to fall by 60 dB, losses that grow with frequency, body share."""

    id: str
    decay: float
    near_loss: float
    far_loss: float
    body: float = 0.25
    stopped_decay: float = 0.6


@dataclass(frozen=True, slots=True)
class Shake:
    """A vibrato: from ``start`` for ``seconds``, ``extent`` cents, ``rate`` Hz; above: on the upper side only."""

    start: float
    seconds: float
    extent: float
    rate: float
    above: bool = False


@dataclass(frozen=True, slots=True)
class Tone:
    """One excitation of one string.

    Attributes:
        hz: pitch that ``points`` count from (of the sounding length; of the open string for a harmonic).
        open_hz: pitch of the whole string, for the place of the pluck.
        seconds: how long the tone is computed.
        node: touched node as a fraction from the bridge (a harmonic), or None.
        points: (seconds, cents) the left hand passes, joined smoothly; empty: stays at ``hz``.
        strength: level, 1 = an ordinary pluck.
        brightness: 0 (flesh, dark) … 1 (nail, bright).
        place: where the string is excited, as a fraction of the whole string from the bridge.
        stopped: the finger on the wood shortens the decay.
    """

    hz: float
    open_hz: float
    seconds: float
    node: Fraction | None = None
    points: tuple[tuple[float, float], ...] = ()
    shakes: tuple[Shake, ...] = ()
    strength: float = 1.0
    brightness: float = 0.5
    place: float = 0.08
    stopped: bool = False


def cents_curve(tone: Tone, count: int, rate: int = RATE) -> np.ndarray:
    """Cents above ``tone.hz`` for each sample, shape ``(count,)``: eased between points, shakes added."""
    import numpy as np

    t = np.arange(count) / rate
    out = np.zeros(count)
    points = tone.points
    if points:
        out[:] = points[0][1]
        for (t0, c0), (t1, c1) in pairwise(points):
            x = np.clip((t - t0) / max(t1 - t0, 1e-4), 0.0, 1.0)
            out += (c1 - c0) * x * x * (3.0 - 2.0 * x)
    for shake in tone.shakes:
        x = (t - shake.start) / max(shake.seconds, 1e-4)
        inside = (x > 0) & (x < 1)
        window = np.where(inside, np.sin(np.pi * np.clip(x, 0, 1)) ** 0.5, 0.0)
        swing = np.sin(2 * np.pi * shake.rate * (t - shake.start))
        if shake.above:
            swing = 0.5 * (1.0 - np.cos(2 * np.pi * shake.rate * (t - shake.start)))
        out += shake.extent * window * swing
    return out


def _lagrange(delay: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Whole part and the four weights of a third-order fractional delay, each of the shape of ``delay``.

    Tap ``k`` of sample ``n`` is ``n - whole + 1 - k``.
    """
    import numpy as np

    whole = np.floor(delay).astype(np.int64)
    d = delay - whole + 1.0
    return whole, (
        -(d - 1) * (d - 2) * (d - 3) / 6,
        d * (d - 2) * (d - 3) / 2,
        -d * (d - 1) * (d - 3) / 2,
        d * (d - 1) * (d - 2) / 6,
    )


def _kernel(material: Material) -> np.ndarray:
    """The symmetric loss filter, 7 taps, unit gain at 0 Hz."""
    import numpy as np

    near, far = material.near_loss, material.far_loss
    return np.array([far / 2, 0, near / 2, 1 - near - far, near / 2, 0, far / 2])


def excitation(tone: Tone, count: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """What the finger puts into the string, shape ``(count,)``: a short pulse with some noise, and its echo from
    the bridge (the echo is what makes the timbre depend on the place)."""
    import numpy as np

    cutoff = 350.0 * (8.0 ** min(max(tone.brightness, 0.0), 1.0))
    width = min(count, int(0.03 * rate))
    t = np.arange(width) / rate
    pulse = np.exp(-2 * np.pi * cutoff * t) * (1 - np.exp(-2 * np.pi * 4 * cutoff * t))
    noise = rng.standard_normal(width) * np.exp(-t / 0.004)
    noise = np.convolve(noise, np.hanning(max(3, int(rate / cutoff / 3)) + 2), mode="full")[:width]
    pulse += 0.15 * pulse.max() * noise / max(float(np.max(np.abs(noise))), 1e-9)
    out = np.zeros(count)
    out[:width] = pulse
    echo = max(1, round(tone.place * rate / tone.open_hz))
    out[echo : echo + width] -= pulse[: max(0, min(width, count - echo))]
    return out


def _line(e: np.ndarray, delay: np.ndarray, gain: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """One closed delay line driven by ``e``; ``delay`` (in samples) and ``gain`` have one value a sample."""
    import numpy as np

    count, pad = len(e), int(np.max(delay)) + 16
    y, z = np.zeros(count + pad), np.zeros(count + pad)
    whole, weights = _lagrange(delay)
    base = np.arange(count) + pad - whole + 1
    step = int(np.min(delay)) - 3 - _LATENCY
    weights = tuple(w * gain for w in weights)
    for start in range(0, count, step):
        stop = min(start + step, count)
        at = base[start:stop]
        block = e[start:stop].copy()
        for k, weight in enumerate(weights):
            block += weight[start:stop] * z[at - k]
        a, b = start + pad, stop + pad
        y[a:b] = block
        z[a - _LATENCY : b - _LATENCY] = np.convolve(y[a - 2 * _LATENCY : b], kernel, mode="valid")
    return y[pad:]


def _touched(
    e: np.ndarray, delay: float, node: float, passes: np.ndarray, gain: float, kernel: np.ndarray
) -> np.ndarray:
    """A line of ``delay`` samples with a finger at ``node``; ``passes`` (one value a sample) is 1 when it is lifted."""
    import numpy as np

    count, pad = len(e), int(delay) + 16
    to_bridge, filtered, to_nut = (np.zeros(count + pad) for _ in range(3))
    out = np.zeros(count)
    near, far = np.array([delay * node]), np.array([delay * (1 - node)])
    (near_whole,), near_weights = _lagrange(near)
    (far_whole,), far_weights = _lagrange(far)
    near_taps = np.array([w[0] for w in near_weights])[::-1] * -gain
    far_taps = np.array([w[0] for w in far_weights])[::-1] * -1.0
    step = int(min(near[0] - 3 - _LATENCY, far[0] - 3))
    for start in range(0, count, step):
        stop = min(start + step, count)
        a, b = start + pad, stop + pad
        n0, f0 = a - near_whole - 2, a - far_whole - 2
        from_bridge = np.correlate(filtered[n0 : n0 + (b - a) + 3], near_taps, mode="valid") + e[start:stop]
        from_nut = np.correlate(to_nut[f0 : f0 + (b - a) + 3], far_taps, mode="valid")
        moving = passes[start:stop] * (from_bridge + from_nut)
        to_bridge[a:b] = moving - from_bridge
        to_nut[a:b] = moving - from_nut
        filtered[a - _LATENCY : b - _LATENCY] = np.convolve(to_bridge[a - 2 * _LATENCY : b], kernel, mode="valid")
        out[start:stop] = from_bridge
    return out


def sound(tone: Tone, material: Material, *, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Samples of one tone, shape ``(seconds * rate,)``; starts and ends at zero; the same seed gives the same samples.

    The level 30 ms after the attack is ``0.1 * strength`` (root mean square), less where the attack would pass 0.9.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    count = max(int(tone.seconds * rate), 64)
    kernel = _kernel(material)
    e = excitation(tone, count, rate, rng)
    if tone.node is None:
        hz = tone.hz * 2.0 ** (cents_curve(tone, count, rate) / 1200.0)
        seconds = material.decay * (material.stopped_decay if tone.stopped else 1.0)
        gain = 10.0 ** (-3.0 / (hz * seconds))
        y = _line(e, rate / hz, gain, kernel)
    else:
        hold = max(0.15, 40.0 / tone.open_hz)
        t = np.arange(count) / rate
        passes = _JUNCTION + (1 - _JUNCTION) * np.clip((t - hold) / 0.03, 0.0, 1.0)
        gain = 10.0 ** (-3.0 / (tone.open_hz * material.decay))
        y = _touched(e, rate / tone.open_hz, float(tone.node), passes, gain, kernel)
    y = _body(y, material.body, rate)
    a, b = int(0.03 * rate), int(0.13 * rate)
    level = float(np.sqrt(np.mean(y[a:b] ** 2))) if count > b else float(np.sqrt(np.mean(y**2)))
    peak = float(np.max(np.abs(y)))
    y *= min(0.1 * tone.strength / max(level, 1e-12), _PEAK / max(peak, 1e-12))
    return y * _fades(count, rate)


def _fades(count: int, rate: int) -> np.ndarray:
    """1 ms in, up to 60 ms out, raised cosine; both ends are exactly zero."""
    import numpy as np

    envelope = np.ones(count)
    rise, fall = min(int(0.001 * rate), count // 4), min(int(0.06 * rate), count // 2)
    envelope[:rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    envelope[count - fall :] = 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / max(fall - 1, 1))
    return envelope


def _body(y: np.ndarray, share: float, rate: int) -> np.ndarray:
    """What reaches the ear: the wave summed at the bridge (a low-pass) and ``share`` of a wooden box on top.

    The box is a few broad resonances; both are one impulse response, so pitch and time are untouched.
    """
    import numpy as np

    t = np.arange(int(0.06 * rate)) / rate
    box = np.zeros_like(t)
    for hz, decay, level in ((92.0, 0.020, 1.0), (187.0, 0.016, 0.8), (310.0, 0.011, 0.6), (560.0, 0.007, 0.4)):
        box += level * np.exp(-t / decay) * np.sin(2 * np.pi * hz * t)
    bridge = np.exp(-2 * np.pi * _BRIDGE * t)
    response = bridge / np.sqrt(np.sum(bridge**2)) + share * box / np.sqrt(np.sum(box**2))
    size = 1 << (len(y) + len(response) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(y, size) * np.fft.rfft(response, size), size)[: len(y)]
