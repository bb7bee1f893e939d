"""The generated dialogues as the field's trainers take them: messages, minicpm-v, llama-factory, ms-swift, parquet."""

from guqin_kg.dialogue.exports.run import FORMATS, PRESETS, export_records, run_export

__all__ = ["FORMATS", "PRESETS", "export_records", "run_export"]
