#!/usr/bin/env bash
# Runs the AWS CLI v1, the newest boto3 and an old boto3 against `dueflow local`, with nothing but
# the lines that it prints. They are installed below target/. The AWS CLI v2 is not on PyPI; it
# brings a botocore of its own, of which the newest boto3 has the same code.
#
# Whatever goes elsewhere than to this machine meets a proxy that is not there, and fails.
set -euo pipefail
cd "$(dirname "$0")/../../.."
home=target/aws-clients
dueflow=${DUEFLOW:-target/debug/dueflow}
[[ -n ${DUEFLOW:-} ]] || cargo build --package operator

venv() { # NAME PACKAGE...
    [[ -x $home/$1/bin/python ]] || python3 -m venv "$home/$1"
    "$home/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}
venv cli1 'awscli<2'
venv new boto3
# The last of the Query protocol.
venv old 'boto3==1.28.80' 'botocore==1.31.80'

# Nothing of this machine's own configuration.
for name in $(compgen -e | grep '^AWS_' || true); do unset "$name"; done
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export AWS_MAX_ATTEMPTS=1
out=$home/exports
"$dueflow" local --no-services --dynamodb-port 0 --sqs-port 0 --transactions-port 0 >"$out" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
tries=0
until grep -q '^# everything is up' "$out"; do
    tries=$((tries + 1))
    if ((tries > 300)) || ! kill -0 "$server" 2>/dev/null; then
        echo "dueflow local does not start" >&2
        exit 1
    fi
    sleep 0.2
done
# shellcheck disable=SC1090
source <(grep '^export ' "$out")
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost

failed=0
check() { # NAME PATTERN COMMAND...
    local answer
    answer=$("${@:3}" 2>&1) || true
    if grep -q -- "$2" <<<"$answer"; then
        echo "ok      $1"
    else
        failed=1
        printf 'FAILED  %s: no %s in\n%s\n' "$1" "$2" "$answer"
    fi
}
aws=$home/cli1/bin/aws
queue=$("$aws" sqs get-queue-url --queue-name dueflow-payments.fifo --query QueueUrl --output text)
check "AWS CLI v1: $("$aws" --version)" aws-cli/1 "$aws" --version
check "AWS CLI v1, sqs list-queues" dueflow-confirmations.fifo "$aws" sqs list-queues
check "AWS CLI v1, sqs send-message" SequenceNumber "$aws" sqs send-message --queue-url "$queue" \
    --message-body hello --message-group-id g --message-deduplication-id one
check "AWS CLI v1, sqs receive-message" hello "$aws" sqs receive-message --queue-url "$queue"
check "AWS CLI v1, dynamodb list-tables" dueflow-payments-archive "$aws" dynamodb list-tables
check "AWS CLI v1, dynamodbstreams list-streams" stream/ "$aws" dynamodbstreams list-streams \
    --table-name dueflow-payments

new=$home/new/bin/python
read -r -d '' program <<'PYTHON' || true
import boto3, botocore
sqs = boto3.client("sqs")
print(botocore.__version__, sqs.list_queues()["QueueUrls"])
url = sqs.get_queue_url(QueueName="dueflow-confirmations.fifo")["QueueUrl"]
sqs.send_message(QueueUrl=url, MessageBody="hello", MessageGroupId="g", MessageDeduplicationId="1")
print("received", sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
print("tables", boto3.client("dynamodb").list_tables()["TableNames"])
print("streams", boto3.client("dynamodbstreams").list_streams()["Streams"][0]["StreamArn"])
PYTHON
check "newest boto3 (the code of AWS CLI v2)" "streams arn:" "$new" -c "$program"

old=$home/old/bin/python
list="import boto3, os; boto3.client('sqs', endpoint_url=os.environ['AWS_ENDPOINT_URL_SQS']).list_queues()"
check "boto3 1.28.80 is told that it speaks the Query protocol" "AWS JSON protocol only" "$old" -c "$list"
check "boto3 1.28.80, dynamodb" "dueflow-payments" "$old" -c \
    "import boto3, os; print(boto3.client('dynamodb', endpoint_url=os.environ['AWS_ENDPOINT_URL_DYNAMODB']).list_tables())"
exit "$failed"
