"""What a run found, as one model with many renderers: terminal, JSON, HTML, Markdown, badge."""
