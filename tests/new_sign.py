"""A sign that the released graph does not have, as a workspace would state it: 抨, a stroke of the right hand."""

from __future__ import annotations

PING = """
@prefix gq: <https://w3id.org/guqin/ontology#> .
@prefix gqr: <https://w3id.org/guqin/resource/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
gqr:rh-ping a gq:BasicNotation, gq:RightHandTechnique ;
  gq:notationName "抨" ; gq:traditionalName "抨" ; gq:fullName "抨" ; rdfs:label "抨"@zh, "ping"@en ;
  gq:hand gq:RightHand ; gq:minStrings 1 ; gq:maxStrings 1 ; gq:grammarRole gqr:role-stroke ;
  gq:partRole gq:rightHandPart ; gq:layoutRole gqr:layout-over-string .
"""


def ping(form: str) -> str:
    """The same with a written form of these statements (``gq:ids "…"`` and the like)."""
    return (
        PING
        + f"""
gqr:rh-ping gq:writtenForm gqr:rh-ping\\/form-1 .
gqr:rh-ping\\/form-1 a gq:WrittenForm ; gq:preferred true {form} .
"""
    )
