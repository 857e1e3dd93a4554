"""FastAPI on uvicorn: TF Serving's row form, each request computed in a thread of its own."""

import os

import uvicorn
from fastapi import FastAPI
from plain import answer
from pydantic import BaseModel


class Body(BaseModel):
    """TF Serving's row form."""

    instances: list[str]


app = FastAPI()


@app.post("/predict")
def predict(body: Body) -> dict[str, list[str]]:
    """Answers each row."""
    return {"predictions": answer(body.instances)}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
