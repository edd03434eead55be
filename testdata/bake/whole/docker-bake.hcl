// The example of a whole file.
variable "TAG" { default = "latest" }
variable "REPO" {
  type        = string
  default     = "user/app"
  description = "Where images go"
  validation {
    condition     = REPO != ""
    error_message = "REPO must not be empty"
  }
}
variable "PLATFORMS" {
  type    = list(string)
  default = ["linux/amd64", "linux/arm64"]
}
variable "COUNT" {
  default = 3
}
variable "DEBUG" {
  default = false
}
variable "MAP" {
  default = { a = "1", b = "2" }
}
variable "NONE" {}

function "tag" {
  params          = [name]
  variadic_params = more
  result          = concat(["${REPO}:${name}-${TAG}"], [for m in more : "${REPO}:${m}"])
}

group "default" { targets = ["app", "tools"] }
group "tools" {
  description = "Helpers"
  targets     = ["lint", "test-a"]
}
group "nested" { targets = ["default", "db"] }

target "_base" {
  context    = "."
  dockerfile = "Dockerfile"
  args       = { A = "base", B = "base", COUNT = COUNT + 1, NONE = NONE }
  labels     = { "org.example" = "x${DEBUG ? "-debug" : ""}" }
  platforms  = PLATFORMS
  cache-from = ["type=registry,ref=${REPO}:cache", "user/plain"]
  tags       = ["base"]
}
target "app" {
  inherits    = ["_base"]
  description = "The application"
  args        = { B = "app", M = MAP["b"], CTX = BAKE_CMD_CONTEXT }
  tags        = tag("app", "x", "y")
  cache-to    = [{ type = "local", dest = "cache", mode = "max" }]
  output      = ["type=docker", { type = "image", push = "true" }]
  secret      = ["type=env,id=tok,env=TOKEN", { id = "f", src = "docker-bake.hcl" }]
  annotations = ["index:org.x=1", "manifest:org.y=2"]
  attest      = ["type=provenance,mode=max", { type = "sbom" }]
  contexts    = { base = "target:db", alp = "docker-image://alpine:3" }
  no-cache-filter = ["a"]
  shm-size    = "64m"
  ulimits     = ["nofile=1024:2048"]
  network     = "none"
  call        = "build"
  extra-hosts = { h = "1.2.3.4" }
  entitlements = ["security.insecure"]
  unknown     = "ignored"
}
target "db" {
  inherits = ["app", "_base"]
  contexts = { base = "", alp = "" }
  dockerfile-inline = <<-EOT
    FROM scratch
    COPY $${x} /
  EOT
  target  = "db"
  no-cache = true
  pull     = false
}
target "lint" {
  name   = "lint-${os}-${sanitize(v.n)}"
  matrix = { os = ["deb", "alp"], v = [{ n = "1.0", x = 1 }, { n = "2", x = 2 }] }
  args   = { OS = os, N = v.n, X = v.x, SELF = target.app.description }
  tags   = os == "deb" ? ["l:${os}"] : []
}
target "test-a" {
  matrix = { v = ["1"] }
  args   = { V = v }
}
target "test-b" { inherits = ["_base"] }
