"""A FastAPI service with the observatory as one part of it: `uvicorn observatory:app`."""

from pathlib import Path

from fastapi import FastAPI

from alpaca_async import CameraAddress
from alpaca_async.web import AccessControl, create_router

CAMERAS = [CameraAddress("192.168.1.20:11111")]
FRAMES = Path("frames")
FRAMES.mkdir(exist_ok=True)

app = FastAPI()
app.add_middleware(AccessControl, hosts=["observatory.local"])
app.include_router(create_router(CAMERAS, FRAMES), prefix="/observatory")


@app.get("/")
async def read_greeting() -> str:
    """Greet; this is where your own service is."""
    return "The cameras are at /observatory/"
