"""Other guards behind Levelhead's `kind = "command"` interface: guard.py NAME < prompts.jsonl > verdicts.jsonl

With a second argument, a file of prompts in that form, it prints how many texts it judges in a second of
processor time, on one thread, without the time to load.
"""
import json
import os
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")


def oubliette():
    """The learned tier that comes with the package: hashed n-grams, flagged from 0.5 as the package does."""
    from oubliette_shield.local_ml import LocalMLModel

    model = LocalMLModel()
    assert model.loaded, "the package's weights could not be loaded"
    return lambda text: model.score(text)["score"], 0.5


def oubliette_pipeline():
    """The package's whole pipeline without a language model, each text as a session of its own."""
    import itertools
    import logging

    logging.disable(logging.CRITICAL)
    from oubliette_shield import Shield

    shield, number = Shield(), itertools.count()

    def score(text):
        result = shield.analyze(text, session_id=str(next(number)))
        return 1.0 if result.blocked else (result.ml_result or {}).get("score", 0.0) / 2

    return score, 1.0


def stackone():
    """The ONNX classifier that comes with the package, chunk by chunk as the package judges, with its high-risk threshold."""
    import onnxruntime
    from stackone_defender.classifiers.tier2_classifier import create_tier2_classifier

    # One thread, as everything else in this comparison.
    session = onnxruntime.InferenceSession

    def single(*args, **kwargs):
        options = kwargs.get("sess_options") or onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        kwargs["sess_options"] = options
        return session(*args, **kwargs)

    onnxruntime.InferenceSession = single
    model = create_tier2_classifier()
    model.warmup()
    # What it skips, for being shorter than ten characters, it passes.
    return lambda text: model.classify_by_chunks(text).get("score") or 0.0, model.get_config()["high_risk_threshold"]


score, threshold = {"oubliette": oubliette, "oubliette-pipeline": oubliette_pipeline, "stackone": stackone}[sys.argv[1]]()
if len(sys.argv) > 2:
    with open(sys.argv[2], encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    times, started = [], time.process_time()
    for text in texts:
        before = time.process_time()
        score(text)
        times.append(time.process_time() - before)
    seconds = time.process_time() - started
    times.sort()
    print(f"{sys.argv[1]}: {len(texts)} texts in {seconds:.2f} s of processor time, {len(texts) / seconds:.0f} a second, "
          f"median {1e6 * times[len(times) // 2]:.0f} us, 99 % within {1e6 * times[len(times) * 99 // 100]:.0f} us")
else:
    for line in sys.stdin:
        value = float(score(json.loads(line)["text"]))
        print(json.dumps({"score": value, "flagged": value >= threshold, "threats": []}), flush=True)
