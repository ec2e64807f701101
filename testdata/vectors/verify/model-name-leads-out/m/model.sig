{
 "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
 "verificationMaterial": {
  "publicKey": {
   "hint": "E+MebKqkK8JCnuk3j39gT0pcrYsmxPKhtwRdR62SDHw="
  }
 },
 "dsseEnvelope": {
  "payload": "eyJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwgInN1YmplY3QiOiBbeyJuYW1lIjogIm0iLCAiZGlnZXN0IjogeyJzaGEyNTYiOiAiOTljOWVhYmRmM2QyNWZmMjgyNmM0Mjk2YjMxOTYxYzQyMWRhNDdiZmZkZWIxODJhYjMyMzk0OTczMTE0YzI5NyJ9fV0sICJwcmVkaWNhdGVUeXBlIjogImh0dHBzOi8vbW9kZWxfc2lnbmluZy9zaWduYXR1cmUvdjEuMCIsICJwcmVkaWNhdGUiOiB7InNlcmlhbGl6YXRpb24iOiB7Im1ldGhvZCI6ICJmaWxlcyIsICJoYXNoX3R5cGUiOiAic2hhMjU2IiwgImFsbG93X3N5bWxpbmtzIjogZmFsc2V9LCAicmVzb3VyY2VzIjogW3sibmFtZSI6ICIuLi9tL2NvbmZpZy5qc29uIiwgImFsZ29yaXRobSI6ICJzaGEyNTYiLCAiZGlnZXN0IjogImNhM2QxNjNiYWIwNTUzODE4MjcyMjYxNDA1NjhmM2JlZjdlYWFjMTg3Y2ViZDc2ODc4ZTBiNjNlOWU0NDIzNTYifV19fQ==",
  "payloadType": "application/vnd.in-toto+json",
  "signatures": [
   {
    "sig": "MEYCIQD7EQL0GNMb9dUqnTy3G8LswGnWTmdAa7XVDchhijKx2QIhANQiTWOJgCAyQsALXClkdKdjsClbqIZmPcTXAZei1Onw"
   }
  ]
 }
}
