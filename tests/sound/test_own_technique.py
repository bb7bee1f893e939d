"""A technique of one's own, added as Turtle: heard with no change of code."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import Grammar, grammar_of
from guqin_kg.score.context import interpret
from guqin_kg.score.export import timeline
from guqin_kg.score.read import read_text
from guqin_kg.sound.phrase import voices

HEAD = """
@prefix gq: <https://w3id.org/guqin/ontology#> .
@prefix gqr: <https://w3id.org/guqin/resource/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""
STROKE = """
gqr:rh-my a gq:BasicNotation , gq:RightHandTechnique ; gq:notationName "甪" ; rdfs:label "甪"@zh ;
    gq:grammarRole gqr:role-stroke ; gq:partRole gq:rightHandPart ; gq:minStrings 1 ; gq:maxStrings 1 .
"""
PROFILE = """
gqr:rh-my gq:performance gqr:performance-my .
gqr:performance-my a gq:PerformanceProfile ; gq:excitation gq:Pluck ; gq:actsOn gq:WrittenStrings ;
    gq:soundsAt gq:AtPlace ; gq:strokePattern "1 1 1 1" ; gq:strokeSpacing 0.5 ; gq:brightness 0.9 .
"""
MOVE = """
gqr:ls-my a gq:BasicNotation , gq:Slide ; gq:notationName "甫" ; rdfs:label "甫"@zh ;
    gq:grammarRole gqr:role-move ; gq:partRole gq:leftHandPart ; gq:performance gqr:performance-my-move .
gqr:performance-my-move a gq:PerformanceProfile ; gq:gestureTiming gq:AfterAttack ; gq:gestureShape "0 0t; 1 1t" ;
    gq:gestureSeconds 0.2 ; gq:slideSign 1 ; gq:stateEffect gq:MovesPlace ; gq:needsStoppedNote true .
"""


def grammar(folder: Path, text: str) -> Grammar:
    path = folder / "mine.ttl"
    path.write_text(HEAD + text, encoding="utf-8")
    return grammar_of(load_inventory([path]))


def test_it_sounds_as_its_profile_says(tmp_path: Path) -> None:
    found = interpret(read_text("大九甪四"), grammar(tmp_path, STROKE + PROFILE))
    starts = [v.start for v in voices(timeline(found), found.strings)]
    assert starts == pytest.approx([0.0, 0.5, 1.0, 1.5])


def test_without_a_profile_it_sounds_as_a_stroke(tmp_path: Path) -> None:
    found = interpret(read_text("大九甪四"), grammar(tmp_path, STROKE))
    (voice,) = voices(timeline(found), found.strings)
    assert voice.hz == pytest.approx(146.998, abs=1e-3)


def test_a_slide_of_ones_own_moves_the_place(tmp_path: Path) -> None:
    found = interpret(read_text("大九勾四 甫七 就挑五 甫九"), grammar(tmp_path, MOVE))
    assert [str(s.place.fraction) for e in found.events[:3] for s in e.result.sounds if s.place] == [
        "2/3",
        "1/2",
        "1/2",
    ]
    assert [(f.rule, e.text if e else None) for e, f in found.findings] == [("V29", "甫九")]
