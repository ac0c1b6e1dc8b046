"""What runs in a worker process: load score.py, call run(), turn results into answers.

Everything in this room keeps to Python 3.8 syntax and imports the standard library alone; numpy, pandas,
flask and inference_schema are used when the model's environment has them, never required.
"""
