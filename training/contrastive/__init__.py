"""Contrastive models: image, text and audio of a notation in one space (dual or triple encoder, LoRA)."""
