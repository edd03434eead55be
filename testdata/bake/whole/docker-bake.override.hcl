TAG = "over"
target "app" {
  args = { O = "1" }
  platforms = ["linux/arm64"]
}
group "tools" { targets = ["lint"] }
