"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse


class Reverse(ResponsesAgent):
    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        words = str(request.input[-1].content).split()
        item = self.create_text_output_item(" ".join(reversed(words)), id="msg_1")
        return ResponsesAgentResponse(output=[item], custom_outputs=request.custom_inputs)


set_model(Reverse())
