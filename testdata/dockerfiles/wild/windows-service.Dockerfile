# escape=`

FROM mcr.microsoft.com/windows/servercore:ltsc2022

# $ProgressPreference: https://example.com
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]

ENV GIT_VERSION 2.23.0
ENV GIT_DOWNLOAD_URL https://example.com/git/MinGit-${GIT_VERSION}-64-bit.zip
# steps inspired by another image
RUN [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12; `
	Write-Host ('Downloading {0} ...' -f $env:GIT_DOWNLOAD_URL); `
	Invoke-WebRequest -Uri $env:GIT_DOWNLOAD_URL -OutFile 'git.zip'; `
	`
	if ((Get-FileHash git.zip -Algorithm sha256).Hash -ne $env:GIT_DOWNLOAD_SHA256) { `
		Write-Host 'FAILED!'; `
		exit 1; `
	}; `
	`
	Expand-Archive -Path git.zip -DestinationPath C:\git\.; `
	Remove-Item git.zip -Force;

WORKDIR C:\app
COPY --chown=ContainerUser bin\Release\ C:\app\
RUN setx /M PATH "%PATH%;C:\Program Files\App"
USER ContainerAdministrator
VOLUME C:\data
ENTRYPOINT ["C:\\ServiceMonitor.exe", "w3svc"]
