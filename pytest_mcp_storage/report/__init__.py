"""The report of a run: one model, several renderers.

- ``model``: the data of a report.
- ``merge``: several reports as one.
- ``write``: a report to a file, by its extension.
- ``terminal``: the summary at the end of a run.
- ``html``: the page, from the files in ``page/``.
- ``markdown``: for a pull request.
- ``badge``: an SVG badge.
- ``causes``: groups failures by cause.
- ``similarity``: compares failures with the mutants of the zoo.
- ``cause_classes``: the classes of causes that a diagnosis names.
- ``signature_table``: the mutants' failures, as they are stored.
- ``fingerprint``: what distinguishes a failure from others.
- ``labels``: the names and symbols of outcomes and verdicts.
- ``escaping``: makes text from a store safe to show.
- ``schema``: the JSON Schema of the JSON report, made from the model.
"""
