from .view import Visualization
