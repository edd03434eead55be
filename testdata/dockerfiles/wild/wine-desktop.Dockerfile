FROM ubuntu:20.04
ENV WINEARCH win32
ENV WINEPREFIX=/root/.wine32 DISPLAY=:0.0 WINEDEBUG=-all,err+all
RUN xvfb-run sh -c 'winetricks -q corefonts; wineserver -w' && \
    wine reg add "HKCU\\Software\\Wine\\DllOverrides" /v "mshtml" /t REG_SZ /d "" /f
CMD wine "C:\\Program Files\\App\\app.exe"
