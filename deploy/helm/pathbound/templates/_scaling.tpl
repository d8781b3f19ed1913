{{- define "pathbound.scalingBehavior" -}}
{{- with .Values.autoscaling -}}
scaleDown:
  stabilizationWindowSeconds: {{ int .scaleDownWindowSeconds }}
  policies:
    - type: Percent
      value: {{ int .scaleDownPercent }}
      periodSeconds: 60
    # A tenth of a small number is none.
    - type: Pods
      value: 1
      periodSeconds: 60
scaleUp:
  policies:
    - type: Percent
      value: {{ int .scaleUpPercent }}
      periodSeconds: 30
    - type: Pods
      value: 2
      periodSeconds: 30
{{- end -}}
{{- end -}}

{{/* How many replicas a component should have. One scheduler says it for the pools of workers. */}}
{{- define "pathbound.scalingQuery" -}}
{{- if .component.scaling.query -}}
{{ .component.scaling.query }}
{{- else if eq .component.role "worker" -}}
{{- $labels := list (printf "pool=%q" .component.pool) -}}
{{- with .root.Values.keda.matchers }}{{ $labels = append $labels (replace "$namespace" $.root.Release.Namespace .) }}{{ end -}}
max by (pool) (pathbound_autoscale_desired_workers{ {{- join "," $labels -}} })
{{- else -}}
{{- fail (printf "set %s.scaling.query to the query whose answer is the number of replicas" .component.name) -}}
{{- end -}}
{{- end -}}

{{/* One trigger each, because the fallback of KEDA works for no other number of them. */}}
{{- define "pathbound.scaledObject" -}}
{{- $keda := .root.Values.keda -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .component.fullname }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "pathbound.componentLabels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ .component.fullname }}
  pollingInterval: {{ int $keda.pollingSeconds }}
  minReplicaCount: {{ int .component.scaling.min }}
  maxReplicaCount: {{ int .component.scaling.max }}
  fallback:
    failureThreshold: {{ int $keda.failureThreshold }}
    replicas: {{ int $keda.fallbackReplicas }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "pathbound.scalingBehavior" .root | nindent 8 }}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ required "set keda.serverAddress to the Prometheus that KEDA asks" $keda.serverAddress }}
        query: {{ include "pathbound.scalingQuery" . | quote }}
        threshold: "1"
        # No answer is not the answer 0, which would take the workers away.
        ignoreNullValues: "false"
        {{- if $keda.authentication }}
        authModes: {{ $keda.authModes }}
      authenticationRef:
        name: {{ $keda.authentication }}
        {{- end }}
{{- end -}}
