"""A score out to audio, MIDI and MusicXML."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, MissingExtraError, UsageError
from guqin_kg.inventory import local
from guqin_kg.score.context import Event, Interpretation, interpret
from guqin_kg.score.read import Row, Score
from guqin_kg.sound.performance import materials
from guqin_kg.sound.phrase import Timed, Voice, arrange, render, voices
from guqin_kg.sound.synth import Material, cents_curve
from guqin_kg.sound.synth import Tone as _Tone
from guqin_kg.sound.tuning import deviation

if TYPE_CHECKING:
    import numpy as np

    from guqin_kg.inventory import Inventory
    from guqin_kg.notation.grammar import Grammar

_BEND_RANGE = 24  # semitones
_PROGRAM = 107  # the plucked zither of General MIDI
_TICKS = 960


def timeline(found: Interpretation, bpm: float = 60.0) -> list[Timed]:
    """The events as they are played, repeats written out, in seconds.

    Raises:
        UsageError: a tempo outside 10-400 beats a minute.
    """
    if not 10.0 <= bpm <= 400.0:
        raise UsageError(f"a tempo of {bpm:g} is outside 10-400 beats a minute", hint="60 is one beat a second")
    played = [(found.events[i].result, _beats(found, i)) for i in found.order]
    return arrange(played, 60.0 / bpm)


def _beats(found: Interpretation, index: int) -> float | None:
    event = found.events[index]
    if event.beats is not None:
        return event.beats
    shares_line = index > 0 and found.events[index - 1].row is event.row and event.kind == "side"
    timed = shares_line and event.row.jianpu is not None and not any(s.role != "slide" for s in event.result.sounds)
    return 0.0 if timed and not event.result.shapes else None


def material(inventory: Inventory, name: str | None = None) -> Material:
    """Strings by the graph's name for their material (default: the preferred one).

    Raises:
        UsageError: no such material.
    """
    known = materials(inventory)
    chosen = name if name is not None else next(iter(known), None)
    if chosen not in known:
        raise UsageError(f"no strings of {name!r}", hint=f"known: {', '.join(known)}")
    return Material(id=chosen, **known[chosen])


def audio(
    found: Interpretation, inventory: Inventory, *, bpm: float = 60.0, strings: str | None = None, seed: int = 0
) -> np.ndarray:
    """Samples of the score as audio (float, shape ``(n,)``, 44,100 a second).

    Raises:
        DataError: nothing in it has a determined pitch.
    """
    voiced = _voices(found, bpm)
    return render(voiced, found.strings, material(inventory, strings), seed=seed)


def _voices(found: Interpretation, bpm: float) -> list[Voice]:
    voiced = voices(timeline(found, bpm), found.strings)
    if not voiced:
        said = [line for event in found.events for line in (*event.result.left_open, event.error or "") if line]
        raise DataError(
            "nothing in this has a determined pitch" + (f": {said[0]}" if said else ""),
            code="silent",
            hint="write string and position, or give the notes before it",
        )
    return voiced


def write_midi(found: Interpretation, path: Path, *, bpm: float = 60.0) -> None:
    """Write a MIDI file: one channel a string, pitch bend for cents, slides and shakes, readings as lyrics.

    Raises:
        MissingExtraError: mido is not installed.
        DataError: nothing has a determined pitch.
    """
    try:
        import mido
    except ImportError:
        raise MissingExtraError("MIDI output (mido)", "score") from None
    voiced = _voices(found, bpm)
    second = _TICKS * bpm / 60.0
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("track_name", name=Path(found.score.source).stem, time=0))
    head.append(mido.MetaMessage("set_tempo", tempo=round(60e6 / bpm), time=0))
    clock = 0
    for timed, index in zip(timeline(found, bpm), found.order, strict=True):
        at = max(round(timed.start * second), clock)
        head.append(mido.MetaMessage("lyrics", text=found.events[index].text, time=at - clock))
        clock = at
    out = mido.MidiFile(type=1, ticks_per_beat=_TICKS, charset="utf-8")
    out.tracks.append(head)
    for string in range(1, len(found.strings.midi) + 1):
        mine = [v for v in voiced if v.string == string]
        if mine:
            out.tracks.append(_track(mido, string, mine, found, second))
    data = io.BytesIO()
    out.save(file=data)
    _write(path, data.getvalue())


def _track(mido: Any, string: int, mine: Sequence[Voice], found: Interpretation, second: float) -> Any:
    """One string: messages with absolute times, then turned into differences."""
    channel = string - 1
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=f"string {string}", time=0))
    track.append(mido.Message("program_change", channel=channel, program=_PROGRAM, time=0))
    for control, value in ((101, 0), (100, 0), (6, _BEND_RANGE), (38, 0)):
        track.append(mido.Message("control_change", channel=channel, control=control, value=value, time=0))
    timed: list[tuple[int, int, Any]] = []
    for voice in mine:
        midi = voice.sounding.midi(found.strings)
        if midi is None:
            continue
        key = min(max(round(midi), 0), 127)
        start = round(voice.start * second)
        end = round((voice.until if voice.until is not None else voice.start + 4.0) * second)
        force = voice.sounding.profile.strength if voice.sounding.profile else 1.0
        velocity = max(1, min(127, round(88 * force)))
        for at, bend in _bends(voice, midi - key, (end - start) / second):
            timed.append((start + round(at * second), 0, mido.Message("pitchwheel", channel=channel, pitch=bend)))
        timed.append((start, 1, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
        timed.append((max(end, start + 1), -1, mido.Message("note_off", channel=channel, note=key, velocity=0)))
    clock = 0
    for at, _, message in sorted(timed, key=lambda item: item[:2]):
        message.time = max(at - clock, 0)
        clock = max(clock, at)
        track.append(message)
    return track


def _bends(voice: Voice, rest: float, seconds: float) -> list[tuple[float, int]]:
    """Pitch bend over time: the rest of a semitone, and what the left hand does, in steps of 20 ms."""
    rate = 50
    count = max(int(seconds * rate), 1)
    if not voice.points and not voice.shakes:
        return [(0.0, _bend(rest))]
    tone = _Tone(voice.hz, voice.hz, seconds, points=tuple(voice.points), shakes=tuple(voice.shakes))
    curve = cents_curve(tone, count, rate)
    out: list[tuple[float, int]] = []
    for number, cents in enumerate(curve):
        value = _bend(rest + float(cents) / 100.0)
        if not out or out[-1][1] != value:
            out.append((number / rate, value))
    return out


def _bend(semitones: float) -> int:
    return max(-8192, min(8191, round(8192 * semitones / _BEND_RANGE)))


def write_musicxml(found: Interpretation, path: Path, title: str | None = None) -> None:
    """Write MusicXML: nearest tempered notes with string numbers, readings as lyrics, cents where they matter.

    Raises:
        MissingExtraError: music21 is not installed.
        DataError: nothing has a determined pitch.
    """
    try:
        import music21 as m21
    except ImportError:
        raise MissingExtraError("MusicXML output (music21)", "score") from None
    part = m21.stream.Part()
    part.partName = "guqin"
    part.append(m21.clef.BassClef())
    last: Any = None
    written = 0
    for index in found.order:
        event = found.events[index]
        length = event.beats or 1.0
        groups = _groups(event, found)
        if not groups:
            if event.result.rest_beats:
                part.append(m21.note.Rest(quarterLength=event.result.rest_beats))
            elif last is not None and (event.kind == "side" or event.notation is None or event.result.shapes):
                last.addLyric(event.text)
            continue
        for number, group in enumerate(groups):
            element = _element(m21, group)
            element.duration = m21.duration.Duration(max(round(4 * length / len(groups)), 1) / 4)
            if number == 0:
                element.addLyric(event.text)
            cents = [round(deviation(midi)) for _, midi, _ in group]
            if any(abs(c) >= 5 for c in cents):
                element.addLyric(" ".join(f"{c:+d}¢" for c in cents))
            slid = group[0][2]
            part.append(element)
            if slid and last is not None:
                part.insert(0, m21.spanner.Glissando([last, element]))
            last = element
            written += 1
    if not written:
        raise DataError("nothing in this has a determined pitch", code="silent", hint="write string and position")
    whole = m21.stream.Score()
    whole.append(part)
    whole.metadata = m21.metadata.Metadata(title=title or Path(found.score.source).stem, composer=" ")
    text = m21.musicxml.m21ToXml.GeneralObjectExporter().parse(whole).decode("utf-8")
    # the same score gives the same bytes: no date, no random part name
    text = re.sub(r"\s*<encoding-date>[^<]*</encoding-date>", "", text)
    for number, name in enumerate(dict.fromkeys(re.findall(r'<score-part id="([^"]+)"', text)), 1):
        text = text.replace(f'"{name}"', f'"P{number}"')
    _write(path, text.encode("utf-8"))


def _groups(event: Event, found: Interpretation) -> list[list[tuple[int, float, bool]]]:
    """Sounds of an event that start together: (string, MIDI number, reached by sliding)."""
    out: dict[int, list[tuple[int, float, bool]]] = {}
    for sound in event.result.sounds:
        midi = sound.midi(found.strings)
        if midi is not None and sound.string is not None:
            out.setdefault(sound.group, []).append((sound.string, midi, sound.role == "slide"))
    return [out[group] for group in sorted(out)]


def _element(m21: Any, group: Sequence[tuple[int, float, bool]]) -> Any:
    notes = []
    for string, midi, _ in group:
        note = m21.note.Note()
        note.pitch.ps = round(midi)
        note.articulations.append(m21.articulations.StringIndication(string))
        notes.append(note)
    return notes[0] if len(notes) == 1 else m21.chord.Chord(notes)


def write_each(
    readings: Iterable[str],
    folder: Path,
    grammar: Grammar,
    *,
    strings: str | None = None,
    seed: int = 0,
    ending: str = ".wav",
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Sound each reading alone into ``folder``, one file named after its IRI.

    Args:
        readings: notations.
        folder: where the files go.
        grammar: of the graph.
        strings: material; seed: same seed, same bytes.
        ending: ``.wav`` or ``.flac``.
        **settings: tuning, tradition, temperament, a4 as in :func:`guqin_kg.score.context.interpret`.

    Yields:
        ``{"reading", "iri", "file", "seconds"}``, or with ``error`` where it cannot be read (``unread``) or has no
        pitch of its own.
    """
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.sound.wav import RATE, write_audio

    for reading in readings:
        found = interpret(Score("readings", (Row(1, "1", main=reading),)), grammar, **settings)
        if any(event.notation is None for event in found.events):
            yield {"reading": reading, "unread": True, "error": found.events[0].error or "cannot be read"}
            continue
        try:
            samples = audio(found, grammar.inventory, strings=strings, seed=seed)
        except DataError as error:
            yield {"reading": reading, "error": error.message}
            continue
        first = found.events[0].notation
        assert first is not None
        iri = notation_iri(first, grammar)
        path = folder / f"{local(iri)}{ending}"
        write_audio(path, samples)
        yield {"reading": reading, "iri": iri, "file": path.name, "seconds": round(len(samples) / RATE, 2)}


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
