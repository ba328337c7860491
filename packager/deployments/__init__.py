"""MLflow's deployments plugin: `mlflow deployments ... --target aws-lambda`.

MLflow loads this module by its entry point (group `mlflow.deployments`, name `aws-lambda`) and
takes from it `target_help`, `run_local` and the one subclass of BaseDeploymentClient
(https://mlflow.org/docs/latest/ml/plugins/#defining-a-plugin).
"""

from packager.deployments._client import AwsLambdaDeploymentClient
from packager.deployments._help import target_help
from packager.deployments._local import run_local

__all__ = ["AwsLambdaDeploymentClient", "run_local", "target_help"]
