"""A prompt, a model that repeats it, and the text of its answer."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from mlflow.models import set_model

prompt = ChatPromptTemplate.from_template("Say {word} {times} times.")
repeat = RunnableLambda(lambda value: value.to_messages()[-1].content.upper())
set_model(prompt | repeat | StrOutputParser())
