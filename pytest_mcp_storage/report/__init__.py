"""What a run found, as one model with many faces: terminal, JSON, HTML, Markdown, badge."""
