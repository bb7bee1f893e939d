"""The dialogue model: vision-language fine-tuning on generated conversations, judged by facts of the graph."""
