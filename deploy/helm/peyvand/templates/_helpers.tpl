{{/* The name of the release, short enough for what is appended to it. */}}
{{- define "peyvand.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 30 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 30 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* A component's name: (list $ "prober" "main"), where the last may be "". StatefulSets append 11 characters to it in a label. */}}
{{- define "peyvand.component" -}}
{{- $root := index . 0 }}
{{- $name := printf "%s-%s" (include "peyvand.name" $root) (index . 1) }}
{{- with index . 2 }}{{ $name = printf "%s-%s" $name . }}{{ end }}
{{- if gt (len $name) 52 }}{{ fail (printf "%s is too long a name for Kubernetes: shorten the release's" $name) }}{{ end }}
{{- $name }}
{{- end }}

{{/* The labels that select a component's pods: (list $ "prober" "main"). */}}
{{- define "peyvand.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- with index . 2 }}
peyvand/{{ eq (index $ 1) "prober" | ternary "vantage" "bus" }}: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "peyvand.labels" -}}
{{- $root := index . 0 -}}
{{ include "peyvand.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* The components of this release that have /metrics, separated by blanks: each is a job of Prometheus. */}}
{{- define "peyvand.scraped" -}}
prober{{ if .Values.scorer.enabled }} scorer{{ end }}{{ if .Values.archive.enabled }} archive{{ end }}{{ if .Values.api.enabled }} api{{ end }}{{ if .Values.console.enabled }} console{{ end }}{{ if .Values.buses }} collector{{ end }}
{{- end }}

{{/* The ports at which pods reach the bus: nats.port, or else those of its URLs; a URL without one has 4222. */}}
{{- define "peyvand.bus-ports" -}}
{{- $ports := list }}
{{- range splitList "," .Values.nats.url }}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trimSuffix "/" .) | trimPrefix ":" | default "4222" | int) }}
{{- end }}
{{- with .Values.nats.port }}{{ $ports = list (int .) }}{{ end }}
{{- $found := list }}
{{- range uniq $ports }}{{ $found = append $found (dict "port" . "protocol" "TCP") }}{{ end }}
{{- toJson $found }}
{{- end }}

{{- define "peyvand.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Settings as variables. Helm reads whole numbers as floats, which it would write as 2.6e+08. */}}
{{- define "peyvand.settings" -}}
{{- range $name, $value := . }}
- name: PEYVAND_{{ upper $name }}
  value: {{ if and (kindIs "float64" $value) (eq (toString (floor $value)) (toString $value)) }}{{ int64 $value | quote }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
{{- end }}

{{/*
A pod of Peyvand's image: `root` (the chart), `component`, `of` (the vantage or bus), `secret` (with the seed of its user; without
one, the pod does not use the bus), `args`, `with` (the component's values); optional `env`, `mounts`, `volumes` (lists), `state`
(whether its StatefulSet has a claim), `serves` (whether it has /health), `restart`.
*/}}
{{- define "peyvand.pod" -}}
{{- $root := .root }}
{{- $with := .with }}
{{- $nats := $root.Values.nats }}
metadata:
  labels:
    {{- include "peyvand.selector" (list $root .component .of) | nindent 4 }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $root.Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false # their variables would begin like our settings
  terminationGracePeriodSeconds: 10
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if gt (int ($with.replicas | default 1)) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "peyvand.selector" (list $root .component .of) | nindent 10 }}
  {{- end }}
  {{- with $with.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $with.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $with.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "peyvand.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- if .secret }}
        - name: PEYVAND_NATS
          value: {{ required "nats.url: the address of the message bus is missing" $nats.url | quote }}
        {{- if $nats.ca.secret }}
        - name: PEYVAND_NATS_CA
          value: /etc/peyvand/authority/{{ $nats.ca.key }}
        {{- end }}
        {{- if $nats.certificate.secret }}
        - name: PEYVAND_NATS_CERTIFICATE
          value: /etc/peyvand/certificate/tls.crt
        - name: PEYVAND_NATS_KEY
          value: /etc/peyvand/certificate/tls.key
        {{- end }}
        {{- end }}
        {{- with .env }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- with $with.settings }}{{ include "peyvand.settings" . | trim | nindent 8 }}{{ end }}
        {{- with $with.env }}{{ toYaml . | nindent 8 }}{{ end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      {{- if .serves }}
      ports:
        - {name: metrics, containerPort: 7420}
        {{- if eq .component "api" }}
        - {name: grpc, containerPort: 7410}
        {{- end }}
        {{- if eq .component "console" }}
        - {name: http, containerPort: 7411}
        {{- end }}
      readinessProbe:
        httpGet: {path: /health, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
      # Not /health: it is NOT_SERVING while the bus is away, which no restart would mend. /metrics answers as long as the process
      # works.
      livenessProbe:
        httpGet: {path: /metrics, port: metrics}
        initialDelaySeconds: 30
        periodSeconds: 30
        timeoutSeconds: 10
        failureThreshold: 6
      {{- end }}
      resources: {{- toYaml $with.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if .secret }}
        - {name: credentials, mountPath: /etc/peyvand/credentials, readOnly: true}
        {{- end }}
        {{- if .state }}
        - {name: state, mountPath: /var/lib/peyvand, subPath: peyvand} # a file system has files of its own in its root
        {{- end }}
        {{- if and .secret $nats.ca.secret }}
        - {name: authority, mountPath: /etc/peyvand/authority, readOnly: true}
        {{- end }}
        {{- if and .secret $nats.certificate.secret }}
        - {name: certificate, mountPath: /etc/peyvand/certificate, readOnly: true}
        {{- end }}
        {{- with .mounts }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- with $with.volumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    {{- if .secret }}
    - name: credentials
      secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if and .secret $nats.ca.secret }}
    - name: authority
      secret: {secretName: {{ $nats.ca.secret | quote }}}
    {{- end }}
    {{- if and .secret $nats.certificate.secret }}
    - name: certificate
      secret: {secretName: {{ $nats.certificate.secret | quote }}, defaultMode: 0440}
    {{- end }}
    {{- with .volumes }}{{ toYaml . | nindent 4 }}{{ end }}
    {{- with $with.volumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* The claim of a StatefulSet: its `size` and `storageClass`. */}}
{{- define "peyvand.claim" -}}
- metadata: {name: state}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources: {requests: {storage: {{ .size | quote }}}}
{{- end }}
