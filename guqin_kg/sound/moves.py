"""The left hand at work: sounds it makes itself, slides, shakes, darts, and figures of both hands."""

from __future__ import annotations

import math
from dataclasses import replace

from guqin_kg.model import Notation, Note, Position
from guqin_kg.sound.performance import Performance, Profile
from guqin_kg.sound.position import Fingerboard, Place
from guqin_kg.sound.state import Finding, Hands, Reading, Severity, Shape, Sounding, StringState

_INTO = ("attack",)
_AFTER = ("move", "vibrato")
_LEFT = ("left-sound",)


class LeftHand:
    """Base of the resolver: what acts on strings that already sound."""

    board: Fingerboard
    tradition: str
    performance: Performance
    hands: Hands
    alone: bool
    index: int
    opened: bool

    def modify(self, note: Note, out: Reading) -> None:
        """Words of speed before a notation."""
        raise NotImplementedError

    def strokes(self, acted: list[Sounding], profiles: list[Profile], out: Reading) -> None:
        """Lay sounds out in time."""
        raise NotImplementedError

    def left_hand(self, part: Note, out: Reading) -> tuple[str | None, Position | None, Place | None]:
        """Finger, position and place, written or carried."""
        raise NotImplementedError

    def preceding(self) -> list[Sounding]:
        """The last two sounds on different strings."""
        raise NotImplementedError

    def as_string(self, string: int, model: int) -> Sounding:
        """One string sounded as another was."""
        raise NotImplementedError

    # ------------------------------------------------------------------ left hand

    def _left_sound(self, notation: Notation, profile: Profile, out: Reading) -> None:
        hands = self.hands
        string = notation.strings[0] if notation.strings else self._held_string()
        if string is None:
            out.left_open.append("it acts on the string that sounds before it, which this reading alone does not have")
        elif not notation.strings:
            out.carried["strings"] = [string]
        before = hands.strings.get(string) if string is not None else None
        if profile.needs_held and (before is None or before.sound != "stopped") and not self.alone:
            self._missing(out, "V19", "no finger held this string before it", "warning")
        if profile.sounds_at == "AtOpen":
            self._released(notation.left_finger, before, profile, out)
            if string is not None:
                hands.strings[string] = StringState("open")
            self._sound_left(Sounding(string, "open", role="left hand", profile=profile), out)
            self.opened = True
            return
        part = notation
        if profile.sounds_at == "AtHolder" and part.position is None:
            holder = part.left_finger or profile.holding_finger
            held = hands.held.get(holder) if holder else None
            if held is None or held[0] != string:
                out.left_open.append("it sounds the place of the finger that holds below, which is not written")
                return
            place, position = held[1], None
            self._plucked_above(holder, string, place, profile, out)
            out.carried["position"] = str(place.fraction)
            hands.finger, hands.position, hands.place, hands.before = holder, None, place, hands.place
        else:
            finger, position, found = self.left_hand(part, out)
            if found is None:
                self._missing(out, "V05", "no hui is written for this sound of the left hand")
                return
            place = found
            hands.finger = finger
            if profile.sounds_at == "AtHolder" and string is not None:
                self._plucked_above(finger, string, place, profile, out)
        if place.statement and place.statement not in out.left_open:
            out.left_open.append(place.statement)
        if string is None:
            out.sounds.append(Sounding(None, "stopped", place, None, "left hand", profile=profile, written=position))
            return
        hands.strings[string] = StringState("stopped", place, position, hands.finger, hands.writer)
        if hands.finger is not None:
            hands.held[hands.finger] = (string, place)
        sound = Sounding(string, "stopped", place, None, "left hand", profile=profile, origin=hands.writer)
        self._sound_left(replace(sound, written=position), out)

    def _sound_left(self, sound: Sounding, out: Reading) -> None:
        out.sounds.append(sound)
        if sound.string is None:
            return
        self.hands.current = sound.string
        self.hands.recent = [*self.hands.recent, sound][-8:]

    def _released(self, finger: str | None, before: StringState | None, profile: Profile, out: Reading) -> None:
        """A finger that pulls off a string must have held it, and be one that sources allow."""
        if not profile.held_by or self.alone:
            return
        if before is None or before.sound != "stopped":
            self._missing(out, "V21", "it releases a string, but no finger held one before it", "warning")
            return
        finger = finger or before.finger
        if finger is not None and not self.performance.fingers(finger) & profile.held_by:
            self._missing(
                out, "V21", f"sources do not give it to the finger that holds the string ({finger})", "warning"
            )

    def _plucked_above(
        self, holder: str | None, string: int | None, place: Place, profile: Profile, out: Reading
    ) -> None:
        """Where one finger holds and another plucks above it, both must be on the string, in that order."""
        above, below = profile.sounding_finger, profile.holding_finger
        if self.alone or above is None or below is None:
            return
        fingers = self.performance.fingers
        if holder is not None and not fingers(holder) & fingers(below):
            self._missing(out, "V20", f"the lower place is held by {holder}, not by {below}", "warning")
        on, where = next((h for f, h in self.hands.held.items() if fingers(f) & fingers(above)), (None, None))
        if on != string or where is None:
            self._missing(out, "V20", f"{above} plucks above, though nothing before puts it on string {string}", "info")
        elif where.low >= place.high:
            self._missing(
                out,
                "V20",
                f"{above} is to pluck above, but lies at {where.fraction} of the string, not above {place.fraction}",
                "warning",
            )

    def _held_string(self) -> int | None:
        """The string the left hand acts on: the one that sounds, or the last one still stopped when that is open."""
        hands = self.hands
        state = hands.strings.get(hands.current) if hands.current is not None else None
        if state is not None and state.sound == "stopped":
            return hands.current
        for sound in reversed(hands.recent):
            if sound.string is not None and hands.strings[sound.string].sound == "stopped":
                return sound.string
        return hands.current

    # ------------------------------------------------------------------ movements

    def _into(self, part: Note, acted: list[Sounding], out: Reading) -> None:
        for word in part.ornaments:
            profile = self.performance.named(word, *_INTO) or self.performance.named(word)
            if profile is None:
                continue
            targets = [s for s in acted if not part.strings or s.string in part.strings]
            if profile.needs_stopped and any(s.sound in ("open", "harmonic") for s in targets):
                self._breach(out, "V30", "a slide or dart into the note needs a stopped string")
                continue
            out.shapes += [
                Shape(s.string, profile, into=True) for s in targets if s.string is not None and profile.shape
            ]

    def _aside(self, notation: Notation, out: Reading) -> None:
        self.modify(notation, out)
        for step in notation.notes or (notation,):
            found: list[Profile] = []
            for word in (*step.ornaments, *step.techniques):
                profile = self._after(step, word)
                if profile is None:
                    out.left_open.append(f"how {word} is performed is not in the graph")
                elif found and step.position is not None and _same_way(found[-1], profile):
                    # two words for one movement to one place: the second leads, the slower speed holds
                    slower = max(found[-1].gesture_seconds, profile.gesture_seconds)
                    found[-1] = replace(profile, gesture_seconds=slower)
                else:
                    found.append(profile)
            for number, profile in enumerate(found):
                self._move(profile, step.position if number == len(found) - 1 else None, out)

    def _after(self, step: Note, word: str) -> Profile | None:
        for whole in ((step.count or "") + word, word):
            profile = self.performance.named(whole, *_AFTER, *_LEFT, "phrase") or self.performance.named(whole)
            if profile is not None and profile.id != "":
                return profile
        return None

    def _move(self, profile: Profile, target: Position | None, out: Reading) -> None:
        hands = self.hands
        if profile.sounds:
            self._left_sound(Notation(form="simple", position=target), profile, out)
            return
        string = self._held_string()
        state = hands.strings.get(string) if string is not None else None
        if string is None or state is None:
            out.left_open.append("it acts on the note before it, which this reading alone does not have")
            if target is not None:
                self._bare_target(target, profile, out)
            return
        if profile.needs_stopped and state.sound != "stopped" and state.sound is not None:
            self._breach(out, "V30", f"the sounding string {string} is {state.sound}, not stopped")
            return
        if string != hands.current:
            out.carried["strings"] = [string]
        travels = any(scaled for _, _, scaled in profile.shape)
        if not travels:
            out.shapes.append(Shape(string, profile))
            return
        self._travel(profile, target, string, state, out)

    def _bare_target(self, target: Position, profile: Profile, out: Reading) -> None:
        """A slide read alone: its target is known as a place, its pitch is not (the string comes from before)."""
        place = self.board.place(target, self.tradition)
        if place.statement:
            out.left_open.append(place.statement)
        out.sounds.append(Sounding(None, "stopped", place, role="slide", profile=profile, written=target))

    def _travel(self, profile: Profile, target: Position | None, string: int, state: StringState, out: Reading) -> None:
        hands = self.hands
        here = state.place if state.place is not None else hands.place
        place = self.board.place(target, self.tradition) if target is not None else None
        if place is None and profile.slide_sign is None and profile.default_step is None:
            place = hands.before
            if place is not None:
                out.carried["position"] = str(place.fraction)
        if place is None or here is None:
            out.left_open.append("how far the hand moves is not written")
            out.shapes.append(Shape(string, profile, profile.default_step or 0.0))
            return
        if place.statement:
            out.left_open.append(place.statement)
        distance = 1200.0 * math.log2(here.fraction / place.fraction)
        self._direction(profile, here, place, out)
        out.shapes.append(Shape(string, profile, distance))
        sound = Sounding(
            string,
            "stopped",
            place,
            role="slide",
            profile=profile,
            origin=self.index,
            written=target,
            group=len(out.sounds),
        )
        out.sounds.append(sound)
        if profile.state_effect == "MovesPlace" or target is None:
            hands.before, hands.place, hands.position, hands.writer = here, place, target, self.index
            hands.strings[string] = StringState("stopped", place, target, state.finger, self.index)
            if state.finger is not None:
                hands.held[state.finger] = (string, place)
            hands.finger = state.finger if state.finger is not None else hands.finger

    def _direction(self, profile: Profile, here: Place, place: Place, out: Reading) -> None:
        if profile.slide_sign is None:
            return
        up = profile.slide_sign > 0
        wrong = place.low >= here.high if up else place.high <= here.low
        if wrong:
            way = "towards the bridge" if up else "towards the nut"
            self._breach(
                out,
                "V29",
                f"it is to move {way}, but its target ({place.fraction} of the string) lies "
                + ("at the same place" if place.fraction == here.fraction else "the other way")
                + f" from where the hand is ({here.fraction})",
            )

    def _fixed(self, notation: Notation, out: Reading) -> None:
        """Marks and figures of both hands."""
        for word in notation.techniques:
            profile = self.performance.named(word, "marker", "two-hand") or self.performance.named(word)
            if profile is None:
                continue
            out.rest_beats += profile.rest_beats
            out.joins = out.joins or profile.joins_previous
            if profile.time_factor != 1.0:
                out.time_factor *= profile.time_factor
            if not profile.sounds:
                continue
            if profile.acts_on == "PrecedingStrings":
                found = self.preceding()
                if len(found) < 2:
                    out.left_open.append("it acts on the two sounds before it, which this reading alone does not have")
                else:
                    self.strokes(found, [profile], out)
            else:
                string = self._held_string()
                if string is None:
                    out.left_open.append("it acts on the note before it, which this reading alone does not have")
                elif profile.sounds_at == "AtOpen":
                    self._left_sound(Notation(form="simple"), profile, out)
                else:
                    self.strokes([self.as_string(string, string)], [profile], out)
                    out.shapes.append(Shape(string, profile, profile.default_step or 0.0))

    # ------------------------------------------------------------------ saying so

    def _breach(self, out: Reading, rule: str, message: str) -> None:
        out.findings.append(Finding(rule, "violation", message))

    def _missing(self, out: Reading, rule: str, message: str, severity: Severity = "violation") -> None:
        """Context that is not there: said for a notation alone, a finding in a score."""
        if severity == "violation":
            out.left_open.append(message)
        if not self.alone:
            out.findings.append(Finding(rule, severity, message))


def _same_way(first: Profile, second: Profile) -> bool:
    """Whether both only carry the hand to a new place, not in opposite ways."""
    moves = first.state_effect == second.state_effect == "MovesPlace"
    return moves and not first.sounds and not second.sounds and first.slide_sign in (second.slide_sign, None)
