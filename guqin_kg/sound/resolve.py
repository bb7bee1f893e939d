"""From a notation and the state of the hands to what sounds: the per-field carry rules at work.

One engine serves a notation alone (the hands know nothing yet; what is missing is said) and a score (the hands carry
on). It knows general parameters of performance profiles only; what a technique does is stated in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guqin_kg.inventory import Inventory
from guqin_kg.model import Notation, Note, Position
from guqin_kg.sound.moves import LeftHand
from guqin_kg.sound.performance import Profile, carry_reach, performance_of
from guqin_kg.sound.position import Place, fingerboard
from guqin_kg.sound.state import Hands, Reading, Sounding, StringState

_RIGHT = ("stroke", "figure", "run", "pinch", "link")
_LEFT = ("left-sound",)
_REMEMBERED = 8  # plucked sounds kept for figures that go back to them


class Resolver(LeftHand):
    """Interprets notations one after the other.

    Args:
        inventory: the graph's base notations and profiles.
        tradition: how two-digit positions are meant (default: the graph's default).
        alone: a single notation; missing context is then no breach of a rule.
    """

    def __init__(self, inventory: Inventory, tradition: str | None = None, *, alone: bool = False) -> None:
        self.board = fingerboard(inventory)
        self.tradition = self.board.tradition(tradition)
        self.performance = performance_of(inventory)
        self.open_reach = carry_reach(inventory).get("open", ((), 0))[1]
        self.hands = Hands()
        self.alone = alone
        self.index = 0
        self.opened = False

    # ------------------------------------------------------------------ one notation

    def read(self, notation: Notation) -> Reading:
        """What ``notation`` comes to; moves the hands."""
        out = Reading()
        self.opened = False
        if notation.form == "aside":
            self._aside(notation, out)
        elif notation.form == "standalone":
            self._fixed(notation, out)
        else:
            self.modify(notation, out)
            profiles = self._profiles(notation)
            left = [p for p in profiles if p.acts_on == "CurrentString" and p.sounds]
            if left and not notation.notes:
                self._left_sound(notation, left[0], out)
            elif any(p.completes_run for p in profiles):
                self._finish_run(notation, out)
            elif profiles and all(p.excitation == "Damp" for p in profiles):
                out.damps = True
            elif notation.techniques and not any(p.sounds or p.excitation for p in profiles):
                self._silent(notation, profiles, out)
            else:
                self._plucked(notation, profiles, out)
        if notation.form in ("simple", "complex"):
            self.hands.open_left = self.open_reach if self.opened else max(0, self.hands.open_left - 1)
        self.index += 1
        return out

    def forget_place(self) -> None:
        """The hand lifts: a touch in a harmonic passage is no place to carry on from."""
        self.hands.place = self.hands.position = self.hands.before = None
        self.hands.open_left = 0

    def _profiles(self, note: Note) -> list[Profile]:
        found = []
        for word in note.techniques:
            profile = self.performance.named(word, *_RIGHT, *_LEFT) or self.performance.named(word)
            if profile is not None:
                found.append(profile)
        return found

    def modify(self, note: Note, out: Reading) -> None:
        """Words of speed before a notation."""
        for word in note.modifiers:
            profile = self.performance.named(word, "modifier", "quality", "marker")
            if profile is not None:
                out.time_factor *= profile.time_factor

    def _silent(self, notation: Notation, profiles: list[Profile], out: Reading) -> None:
        """The left hand comes to rest without a sound, or a word whose performance the graph does not give."""
        if not profiles:
            out.left_open.append(f"how {notation.technique} is performed is not in the graph")
        finger, position, place = self.left_hand(notation, out)
        for string in notation.strings if place is not None else ():
            self._sounding(string, finger, position, place, out, harmonic=self.hands.harmonics)

    # ------------------------------------------------------------------ right hand

    def _plucked(self, notation: Notation, profiles: list[Profile], out: Reading) -> None:
        hands = self.hands
        parts: Sequence[Note] = notation.notes or (notation,)
        techniques = notation.techniques
        if not techniques and not any(p.techniques for p in parts):
            techniques = hands.techniques
            if techniques:
                out.carried["technique"] = "".join(techniques)
                profiles = self._profiles(Note(techniques=techniques))
            else:
                out.left_open.append("the right-hand technique is not written and nothing before gives it")
        if not profiles:
            default = self.performance.named_role("stroke")
            profiles = [default] if default is not None else []
        acted = self._acted(notation, parts, profiles, out)
        if not acted:
            return
        self.strokes(acted, profiles, out)
        for part in dict.fromkeys((notation, *notation.notes)):
            self._into(part, acted, out)
        if techniques:
            hands.techniques = techniques
        first = profiles[0] if profiles else None
        if first is not None and first.runs and len(acted) == 1 and acted[0].string:
            hands.run = (acted[0].string, first)
            out.left_open.append("a run with one string written: where it ends is not said")
        else:
            hands.run = None

    def _acted(
        self, notation: Notation, parts: Sequence[Note], profiles: list[Profile], out: Reading
    ) -> list[Sounding]:
        """The strings the right hand acts on, each with its sound and place."""
        hands = self.hands
        if profiles and profiles[0].acts_on == "PrecedingStrings" and not any(p.strings for p in parts):
            found = self.preceding()
            if len(found) < 2:
                out.left_open.append("it acts on the two sounds before it, which this reading alone does not have")
            else:
                out.carried["strings"] = [s.string for s in found]
            return found
        acted: list[Sounding] = []
        several = len(parts) > 1 or (notation.form == "complex")
        for part in parts:
            strings = part.strings
            if not strings:
                if hands.current is not None:
                    strings = (hands.current,)
                    out.carried["strings"] = list(strings)
                else:
                    out.left_open.append("no string is written and none sounds before it")
            tone = part.tone or notation.tone
            runs = bool(profiles) and profiles[0].runs and len(strings) == 2
            if runs:
                step = 1 if strings[1] > strings[0] else -1
                strings = tuple(range(strings[0], strings[1] + step, step))
            acted += self._where(part, tone, strings, out, by_string=several and not part.left_finger)
        self.opened = self.opened and all(sound.sound == "open" for sound in acted)
        if any(part.position or part.left_finger for part in parts):
            hands.writer = self.index
        return acted

    def _where(
        self, part: Note, tone: str | None, strings: tuple[int, ...], out: Reading, *, by_string: bool
    ) -> list[Sounding]:
        """Sound and place of each of ``strings``, by the carry rules; stores the hand's place."""
        hands = self.hands
        stays = (p := self.performance.named(tone, "tone") if tone else None) is not None and p.needs_place
        if part.sound == "open":
            for string in strings:
                hands.strings[string] = StringState("open")
            self.opened = True
            return [Sounding(s, "open") for s in strings]
        written = part.left_finger is not None or part.position is not None
        if not written and not stays and hands.open_left > 0 and part.sound is None and not by_string:
            out.carried["sound"] = "open"
            self.opened = True
            for string in strings:
                hands.strings[string] = StringState("open")
            return [Sounding(s, "open") for s in strings]
        if by_string and not written and strings and all(s in hands.strings for s in strings):
            return [self._again(s, out) for s in strings]
        finger, position, place = self.left_hand(part, out)
        if place is None and stays:
            self._missing(out, "V27", "the hand is to stay where it is, but no place came before")
        elif place is None and (written or hands.strings or not self.alone):
            self._missing(out, "V05", "neither finger nor hui is written, and nothing before gives a place")
        elif place is None:
            self._missing(
                out, "V05", "alone it does not say whether the string is open or stopped: that is carried from before"
            )
        harmonic = part.sound == "harmonic" or (hands.harmonics and part.sound != "open")
        if hands.touched and not written and not harmonic and place is not None:
            out.left_open.append("the hand only touched its place before: whether this is stopped there is not said")
            place = None
        hands.touched = harmonic and (written or hands.touched)
        sounds = [self._sounding(s, finger, position, place, out, harmonic=harmonic) for s in strings]
        if place is not None and place.statement and not harmonic and place.statement not in out.left_open:
            out.left_open.append(place.statement)
        return sounds

    def _again(self, string: int, out: Reading) -> Sounding:
        """A string of a pair without left hand: it sounds as it did last."""
        state = self.hands.strings[string]
        out.carried.setdefault("strings as before", []).append(string)
        harmonic = None
        if state.sound == "harmonic" and state.position is not None:
            harmonic = self.board.harmonic(state.position)
        return Sounding(string, state.sound, state.place, harmonic, origin=state.origin, written=state.position)

    def left_hand(self, part: Note, out: Reading) -> tuple[str | None, Position | None, Place | None]:
        hands = self.hands
        finger, position, place = part.left_finger, part.position, None
        if position is not None:
            place = self.board.place(position, self.tradition)
            hands.writer = self.index
            if finger is None and hands.finger is not None:
                finger = hands.finger
                out.carried["left_finger"] = finger
        elif finger is not None and finger in hands.held and hands.held[finger][1] is not hands.place:
            place = hands.held[finger][1]
            out.carried["position"] = str(place.fraction)
        else:
            position, place = hands.position, hands.place
            if place is not None:
                out.carried["position"] = str(place.fraction)
                if finger is None and hands.finger is not None:
                    finger = hands.finger
                    out.carried["left_finger"] = finger
        hands.finger, hands.position, hands.place, hands.before = finger, position, place, hands.place
        return finger, position, place

    def _sounding(
        self,
        string: int,
        finger: str | None,
        position: Position | None,
        place: Place | None,
        out: Reading,
        *,
        harmonic: bool,
    ) -> Sounding:
        hands = self.hands
        sound, number = ("stopped" if place is not None else None), None
        if harmonic:
            sound = "harmonic"
            number = self.board.harmonic(position) if position is not None else None
            if position is not None and number is None:
                self._breach(out, "V06", "a harmonic lies on a hui: there is no node at this place")
        hands.strings[string] = StringState(sound, place, position, finger, hands.writer)
        if finger is not None and place is not None and not harmonic:
            hands.held[finger] = (string, place)
        return Sounding(string, sound, place, number, origin=hands.writer, written=position)

    def strokes(self, acted: list[Sounding], profiles: list[Profile], out: Reading) -> None:
        """Lay the sounds out in time by the profiles' patterns."""
        hands = self.hands
        offset, group, short = 0.0, 0, False
        for profile in profiles:
            if profile.excitation == "Damp":
                out.damps = True
                continue
            strokes = profile.strokes(len(acted))
            if len(acted) > 1 and all(stroke == (0,) for stroke in strokes):
                strokes = [
                    (i,) for i in range(len(acted))
                ]  # written for one string, given several: one after the other
            for stroke in strokes:
                hit = [acted[i] for i in stroke if i < len(acted)]
                short = short or len(hit) < len(stroke)
                for sound in hit:
                    out.sounds.append(replace(sound, group=group, offset=offset, profile=profile))
                group += bool(hit)
                offset += profile.spacing * out.time_factor if hit else 0.0
        if short and any(profile.joins_previous for profile in profiles):
            out.joins = True
        elif short:
            out.left_open.append("it takes more strings than are written; those written are sounded")
        if out.sounds:
            hands.current = out.sounds[-1].string
            for sound in dict.fromkeys(out.sounds):
                if sound.string is not None:
                    hands.recent = [*hands.recent, sound][-_REMEMBERED:]

    def preceding(self) -> list[Sounding]:
        """The last two sounds on different strings, the earlier first."""
        found: list[Sounding] = []
        for sound in reversed(self.hands.recent):
            if all(sound.string != other.string for other in found):
                found.insert(0, sound)
            if len(found) == 2:
                break
        return found

    def _finish_run(self, notation: Notation, out: Reading) -> None:
        run = self.hands.run
        if run is None or not notation.strings:
            self._missing(out, "V23", "it names the last string of a run, but no run came before")
            return
        start, profile = run
        end = notation.strings[-1]
        step = 1 if end > start else -1
        strings = tuple(range(start + step, end + step, step))
        acted = [self.as_string(s, start) for s in strings]
        self.strokes(acted, [profile], out)
        self.hands.run = None

    def as_string(self, string: int, model: int) -> Sounding:
        """``string`` sounded as ``model`` was."""
        state = self.hands.strings.get(model, StringState(None))
        self.hands.strings[string] = StringState(state.sound, state.place, state.position, state.finger, state.origin)
        harmonic = self.board.harmonic(state.position) if state.sound == "harmonic" and state.position else None
        return Sounding(string, state.sound, state.place, harmonic, origin=state.origin, written=state.position)


def resolver(inventory: Inventory, tradition: str | None = None) -> Resolver:
    """A resolver for a single notation."""
    return Resolver(inventory, tradition, alone=True)
