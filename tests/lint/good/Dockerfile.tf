FROM tensorflow/tensorflow:2.16.1-gpu
RUN pip install pandas scikit-learn
ENV TF_FORCE_GPU_ALLOW_GROWTH=true
ENV LD_LIBRARY_PATH=/usr/local/cuda/extras/CUPTI/lib64:$LD_LIBRARY_PATH
RUN nvidia-smi || echo "no GPU while building"
