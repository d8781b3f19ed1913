{{/* What the restricted profile of pod security asks of a container. */}}
{{- define "pathbound.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every pod has: no token of the cluster, no variables of services, and the restricted profile. A Service that is
called pathbound would give each pod PATHBOUND_* variables. */}}
{{- define "pathbound.podBasics" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* The variables that only one role has. */}}
{{- define "pathbound.roleEnv" -}}
{{- $env := deepCopy .component.env -}}
{{- if eq .component.role "api" -}}
{{- $_ := set $env "PATHBOUND_SHUTDOWN_DELAY" .component.shutdownDelay -}}
{{- else if eq .component.role "worker" -}}
{{- $_ := set $env "PATHBOUND_WORKER_POOL" .component.pool -}}
{{- with .component.slots }}{{ $_ := set $env "PATHBOUND_WORKER_SLOTS" (toString (int .)) }}{{ end -}}
{{- end -}}
{{- include "pathbound.env" (dict "root" .root "role" .component.role "env" $env) -}}
{{- end -}}

{{/* A process ends within shutdown_delay, drain_limit and ten seconds. Five more are for the node. */}}
{{- define "pathbound.grace" -}}
{{- $drain := include "pathbound.seconds" (default "15s" .root.Values.config.drain_limit) | int -}}
{{- $delay := include "pathbound.seconds" (default "0s" .component.shutdownDelay) | int -}}
{{- add $drain $delay 15 -}}
{{- end -}}

{{- define "pathbound.spread" -}}
{{- if ne .component.topologySpread "none" }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.component.topologySpread }}
    labelSelector:
      matchLabels:
        {{- include "pathbound.componentSelector" $ | nindent 8 }}
    # Pods of the old version leave soon.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}

{{- define "pathbound.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "pathbound.container" -}}
- name: {{ .component.role }}
  image: {{ include "pathbound.image" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: [{{ .component.role }}]
  env:
    {{- include "pathbound.roleEnv" . | nindent 4 }}
  ports:
    {{- if eq .component.role "api" }}
    - name: http
      containerPort: 8080
    {{- end }}
    - name: ops
      containerPort: 8081
  # A start waits for Postgres and Redis, for ten minutes at most.
  startupProbe:
    httpGet: {path: /livez, port: ops}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 300
  # It depends on no server, so an outage restarts nothing.
  livenessProbe:
    httpGet: {path: /livez, port: ops}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  # A check of the servers takes three seconds at most.
  readinessProbe:
    httpGet: {path: /readyz, port: ops}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 2
  resources:
    {{- toYaml .component.resources | nindent 4 }}
  securityContext:
    {{- include "pathbound.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "pathbound.volumeMounts" . | nindent 4 }}
{{- end -}}
